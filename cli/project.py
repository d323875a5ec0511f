"""A project as the LangGraph command line describes it: `langgraph.json`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environment import read_environment
from .loading import Unusable, load

_SAFETY = ("auth", "encryption")
"""Settings without which a project would be less safe than its author means it to be."""
_ELSEWHERE = ("http", "store", "checkpointer", "webhooks", "ui", "stream_transformers")
"""Settings of a running server that are made otherwise here, or not at all."""


@dataclass(frozen=True, slots=True)
class Project:
    """What a project serves.

    Args:
        folder: where its paths begin.
        graphs: where its graphs are, by name.
        env: environment variables that it sets.
        imports: folders that its modules are imported from.
        unread: settings that it has, and that nobody here reads.

    """

    folder: Path
    graphs: Mapping[str, str]
    env: Mapping[str, str]
    imports: tuple[Path, ...] = ()
    unread: tuple[str, ...] = ()

    def enter(self) -> None:
        """Set the environment, and make the project's modules importable."""
        os.environ.update(self.env)
        sys.path[:0] = [str(each) for each in self.imports if str(each) not in sys.path]

    def load(self) -> dict[str, Any]:
        """The graphs, or what makes them, by name.

        Raises:
            Unusable: one cannot be loaded.

        """
        return {name: load(place, self.folder) for name, place in self.graphs.items()}


def read_project(path: Path, *, guarded: bool = False) -> Project:
    """Read a project's description.

    Args:
        path: where it is.
        guarded: the server is told otherwise who may do what.

    Raises:
        Unusable: it is none, or asks for what is not offered.

    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("graphs"), dict):
        raise Unusable(f'{path} names no graphs: give {{"graphs": {{"name": "./file.py:name"}}}}')
    for name in _SAFETY:
        if document.get(name) and not (guarded and name == "auth"):
            raise Unusable(f"{path} has '{name}', which is not read: see --auth")
    folder = path.resolve().parent
    return Project(
        folder,
        {name: _place(name, given, path) for name, given in document["graphs"].items()},
        _environment(document.get("env"), folder, path),
        _imports(document.get("dependencies"), folder, path),
        tuple(name for name in (*_SAFETY, *_ELSEWHERE) if document.get(name)),
    )


def _imports(dependencies: object, folder: Path, path: Path) -> tuple[Path, ...]:
    """The project's own folder, and those of its dependencies that are folders.

    The others are packages, which are installed or not.
    """
    given = [] if dependencies is None else dependencies
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise Unusable(f"{path}: dependencies is no list of strings")
    found = [folder, *(folder / each for each in given if each.startswith("."))]
    return tuple(dict.fromkeys(each.resolve() for each in found if each.is_dir()))


def _place(name: str, given: object, path: Path) -> str:
    place = given.get("path") if isinstance(given, dict) else given
    if not isinstance(place, str):
        raise Unusable(f"{path}: graph {name!r} needs a place: ./file.py:name")
    return place


def _environment(env: object, folder: Path, path: Path) -> dict[str, str]:
    if env in (None, ""):
        return {}
    if isinstance(env, dict):
        return {str(name): str(value) for name, value in env.items()}
    if not isinstance(env, str):
        raise Unusable(f"{path}: env is neither an object nor a file")
    try:
        text = (folder / env).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: env cannot be read ({error})") from error
    return read_environment(text, env, os.environ)
