"""The build hook: gives the folders at the root their import names.

A wheel gets copies: `api.py` becomes `callboard/__init__.py` (the folders are renamed by
`sources` in pyproject.toml). An editable install gets links under `build/editable`,
which `dev-mode-dirs` puts on the path. Links, because mypy, pyright and editors read
folders and would not see an import hook.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("actors", "cli", "domain", "kernel", "observers", "server", "store", "testing")
FILES = {"api.py": "__init__.py", "main.py": "__main__.py", "actors/py.typed": "py.typed"}


class ImportNames(BuildHookInterface[Any]):
    """Put every source under `callboard`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy into a wheel, or link for an editable install."""
        if version == "editable":
            self._link({**{name: name for name in FOLDERS}, **FILES})
        else:
            build_data["force_include"].update(FILES)

    def _link(self, names: dict[str, str]) -> None:
        package = Path(self.root, "build", "editable", "callboard")
        package.mkdir(parents=True, exist_ok=True)
        for source, target in names.items():
            link = package / target
            link.unlink(missing_ok=True)
            link.symlink_to(Path(self.root, source))
