"""Finding objects by where they are: `package.module:name`, `./file.py:name`."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


class Unusable(Exception):
    """The command cannot be carried out as it was given."""


def load(place: str, folder: Path | None = None) -> Any:
    """The object at a place.

    Args:
        place: a module's name or a file, a colon, and the object's name in it.
        folder: in which files are looked for; `None` is the current one.

    Raises:
        Unusable: there is none.

    """
    module_name, colon, name = place.rpartition(":")
    if not colon or not name or not module_name:
        raise Unusable(f"{place!r} names no object: give package.module:name or ./file.py:name")
    try:
        found: Any = _module(module_name, folder or Path.cwd())
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        raise Unusable(f"{place!r} cannot be loaded ({error})") from error
    return found


def _module(name: str, folder: Path) -> ModuleType:
    if not name.endswith(".py") and "/" not in name:
        return import_module(name)
    path = (folder / name).resolve()
    for known in sys.modules.values():
        if getattr(known, "__file__", None) == str(path):
            return known
    if (inside := _in_package(path, folder.resolve())) is not None:
        return inside
    # A name of its own: two files called agent.py are two modules.
    unique = "callboard_project_" + "_".join(path.with_suffix("").parts[1:]).replace("-", "_")
    spec = spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _in_package(path: Path, folder: Path) -> ModuleType | None:
    """A file of a package as the module that the package's others import; `None` if it is none.

    So its relative imports work, and what it shares with them is shared. The project's own
    folder is no package.
    """
    root, names = path.parent, [path.stem]
    while root != folder and (root / "__init__.py").exists():
        names.insert(0, root.name)
        root = root.parent
    if len(names) == 1 or not path.exists() or not all(name.isidentifier() for name in names):
        return None
    if names[-1] == "__init__":
        names.pop()
    if str(root) not in sys.path:
        sys.path.append(str(root))
    # Another package may have that name, and have been found first.
    try:
        module = import_module(".".join(names))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{'.'.join(names)}.".startswith(f"{error.name}."):
            raise
        return None
    return module if getattr(module, "__file__", None) == str(path) else None
