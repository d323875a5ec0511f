"""A project as the LangGraph command line describes it: `langgraph.json`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .loading import Unusable, load

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_SECRETS = ("auth", "encryption")
"""Settings without which a project would be less safe than its author means it to be."""


@dataclass(frozen=True, slots=True)
class Project:
    """What a project serves.

    Args:
        folder: where its paths begin.
        graphs: where its graphs are, by name.
        env: environment variables that it sets.

    """

    folder: Path
    graphs: Mapping[str, str]
    env: Mapping[str, str]

    def enter(self) -> None:
        """Set the environment, and make the project's modules importable."""
        os.environ.update(self.env)
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))

    def load(self) -> dict[str, Any]:
        """The graphs, or what makes them, by name.

        Raises:
            Unusable: one cannot be loaded.

        """
        return {name: load(place, self.folder) for name, place in self.graphs.items()}


def read_project(path: Path) -> Project:
    """Read a project's description.

    Raises:
        Unusable: it is none, or asks for what is not offered.

    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("graphs"), dict):
        raise Unusable(f'{path} names no graphs: give {{"graphs": {{"name": "./file.py:name"}}}}')
    for name in _SECRETS:
        if document.get(name):
            raise Unusable(f"{path} has '{name}', which is not read: see --auth")
    folder = path.resolve().parent
    graphs = {name: _place(name, given, path) for name, given in document["graphs"].items()}
    return Project(folder, graphs, _environment(document.get("env"), folder, path))


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
        lines = (folder / env).read_text().splitlines()
    except OSError as error:
        raise Unusable(f"{path}: env cannot be read ({error})") from error
    return dict(_variable(line, env) for line in lines if _says_something(line))


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _variable(line: str, source: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Unusable(f"{source} has a line that sets nothing: {line!r}")
    name, value = found.groups()
    quote = value[:1]
    if quote in ("'", '"') and (end := value.find(quote, 1)) > 0:
        return name, value[1:end]
    return name, value.partition(" #")[0].rstrip()
