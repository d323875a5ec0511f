"""`python -m callboard`. Installed as `callboard/__main__.py`."""

from callboard.cli import main

raise SystemExit(main())
