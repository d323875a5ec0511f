"""The command line: `python -m callboard`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version

from . import db, demo, run, serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="callboard", description="An actor-model runtime for agent runs."
    )
    parser.add_argument("--version", action="version", version=version("callboard"))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in (demo, run, serve, db):
        module.add_command(commands)
    options = parser.parse_args(arguments)
    if not hasattr(options, "execute"):
        parser.print_help()
        return 2
    code: int = options.execute(options)
    return code
