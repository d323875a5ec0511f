"""`callboard db`: look after a store."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ..domain.codec import encode
from ..domain.errors import CallboardError, InvalidValue
from ..domain.identifiers import SLOTS, Slot
from ..store.sql import SqlStore
from ..store.sql.inspection import Inspection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_BROKEN_PIPE = 141
"""What a shell reports of a program that wrote to a reader which was gone."""


def add_command(commands: Any) -> None:
    """Describe the command and its parts."""
    parser = commands.add_parser("db", help="look after a store: upgrade, check, prune, export")
    parser.set_defaults(execute=lambda _: _help(parser))
    parts = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, text: str, work: Callable[[argparse.Namespace], Awaitable[int]]) -> Any:
        part = parts.add_parser(name, help=text, description=f"{text.capitalize()}.")
        part.add_argument("--store", required=True, metavar="URL", help="where it is")
        part.set_defaults(execute=lambda options: execute(name, work, options))
        return part

    add("upgrade", "make its tables, or bring them up to date", _upgrade)
    add("check", "read it through, and say what is in it and what is wrong", _check)
    add("export", "print its runs and events as JSON lines", _export)
    prune = add("prune", "delete ended runs with their events", _prune)
    prune.add_argument("--older-than", metavar="AGE", help="those that ended so long ago: 12h, 30d")
    prune.add_argument("--keep", metavar="N", type=int, help="all but the last N of each thread")


def execute(
    name: str, work: Callable[[argparse.Namespace], Awaitable[int]], options: argparse.Namespace
) -> int:
    """Do a part's work. Returns its exit code: 2 for bad input, 1 for a store that is not well."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

    async def done() -> int:
        return await work(options)

    try:
        return asyncio.run(done())
    except CallboardError as error:
        print(f"callboard db {name}: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidValue) else 1
    except BrokenPipeError:
        # Python writes out what is left when it ends: to nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 2


async def _upgrade(options: argparse.Namespace) -> int:
    store = SqlStore(options.store)
    before = await _version(options.store, store)
    await store.open()
    await store.close()
    after = await _version(options.store, store)
    if before is None:
        print(f"made, at version {after}")
    elif before == after:
        print(f"up to date, at version {after}")
    else:
        print(f"upgraded from version {before} to {after}")
    return 0


async def _version(url: str, store: SqlStore) -> str | None:
    if store.place.path is not None and not store.place.path.exists():
        return None
    async with Inspection(url) as inspected:
        return await inspected.version()


async def _check(options: argparse.Namespace) -> int:
    async with Inspection(options.store) as store:
        report = await store.check()
    print(f"database   {report.database}")
    print(f"schema     {'none' if report.version is None else f'version {report.version}'}")
    print(f"threads    {report.threads}")
    print(f"runs       {report.runs}, {report.in_flight} in flight")
    print(f"events     {report.events}")
    for fault in report.faults:
        print(f"callboard db check: {fault}", file=sys.stderr)
    print("found nothing wrong" if not report.faults else f"faults     {len(report.faults)}")
    return 1 if report.faults else 0


async def _export(options: argparse.Namespace) -> int:
    async with Inspection(options.store) as store:
        await store.require_current()
        await _print(store.runs())
        await _print(store.events())
    sys.stdout.flush()
    return 0


async def _print(values: AsyncIterator[Any]) -> None:
    async for value in values:
        print(json.dumps(encode(value), ensure_ascii=False))


async def _prune(options: argparse.Namespace) -> int:
    age = None if options.older_than is None else _age(options.older_than)
    before = None if age is None else datetime.now(UTC) - age
    if before is None and options.keep is None:
        raise InvalidValue("--older-than", None, "give it, or --keep, or both")
    if options.keep is not None and options.keep < 0:
        raise InvalidValue("--keep", options.keep, "give a whole number, 0 or more")
    async with Inspection(options.store) as inspected:
        await inspected.require_current()
    store = SqlStore(options.store)
    await store.open()
    try:
        # Whoever runs agents here owns some of them, and is told to be in the way.
        await store.claim(Slot(number) for number in range(SLOTS))
        pruned = await store.prune(before=before, keep=options.keep)
    finally:
        await store.close()
    print(f"deleted {pruned.runs} runs and {pruned.events} events")
    return 0


def _age(text: str) -> timedelta:
    """Read an age: `90s`, `45m`, `12h`, `30d`, `2w`."""
    found = re.fullmatch(r"(\d{1,5})([smhdw])", text)
    if found is None:
        raise InvalidValue("--older-than", text, "give a number with s, m, h, d or w: 12h, 30d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
