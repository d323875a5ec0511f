"""PostgreSQL: groups of events against asyncpg's COPY into the same tables."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url

from callboard.store.sql import SqlStore
from callboard.store.sql.schema import events as table
from tests.postgres import PostgresServer, installed_postgres

from ..measure import Row, in_turns
from .commits import SEASON
from .load import Groups, begun, claim, names, writing
from .raw import COLUMNS, event_rows

CLAIM = "events/s on PostgreSQL, groups of 100 / asyncpg COPY"
VARIABLE = "CALLBOARD_BENCH_POSTGRES"
RUNS, GROUP = 100, 100


async def rows(folder: Path, scale: float) -> AsyncIterator[Row | str]:
    """The lines about PostgreSQL, if there is one."""
    if find_spec("asyncpg") is None:
        yield f"{CLAIM}: asyncpg is not installed"
        return
    with _database() as address:
        if address is None:
            yield f"{CLAIM}: there is none, and {VARIABLE} names none"
            return
        async for row in _measured(make_url(address), int(30_000 * scale) // GROUP * GROUP):
            yield row


@contextmanager
def _database() -> Iterator[str | None]:
    """The URL of an empty database: the one that is named, or one of a server of our own."""
    named, binaries = os.environ.get(VARIABLE), installed_postgres()
    if named is not None or binaries is None:
        yield named
        return
    with PostgresServer(binaries) as server:
        yield server.new_database()


async def _measured(url: URL, events: int) -> AsyncIterator[Row]:
    live = names(RUNS)
    await begun(SqlStore(_text(url)), live, SEASON)
    async with _copy(url) as copy:
        yield await _groups(url, live, copy, events)
        async for row in _producers(url, live, copy, events):
            yield row


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@asynccontextmanager
async def _copy(url: URL) -> AsyncIterator[Any]:
    """A function that COPYs events into a second database, made as a copy of the first."""
    import asyncpg

    def connect(database: str | None) -> Any:
        return asyncpg.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            database=database,
        )

    peer, server = f"{url.database}_peer", await connect("postgres")
    await server.execute(f'DROP DATABASE IF EXISTS "{peer}"')
    await server.execute(f'CREATE DATABASE "{peer}" TEMPLATE "{url.database}"')
    connection = await connect(peer)
    runs = await connection.fetch("SELECT thread_no, run_no FROM runs")
    last = await connection.fetchrow(f"SELECT max(position), max(seq) FROM {table.name}")
    source = event_rows([tuple(run) for run in runs], *last)

    async def copy(events: int) -> int:
        for _ in range(events // GROUP):
            await connection.copy_records_to_table(
                table.name, records=islice(source, GROUP), columns=COLUMNS
            )
        return events

    try:
        yield copy
    finally:
        await connection.close()
        await server.execute(f'DROP DATABASE "{peer}"')
        await server.close()


async def _groups(url: URL, live: list[str], copy: Any, events: int) -> Row:
    """The store alone: each group is committed, then the next."""
    store = SqlStore(_text(url))
    groups = Groups(store, await claim(store), live)
    try:
        await groups.write(events), await copy(events)
        mine, theirs, ratio = await in_turns(lambda: groups.write(events), lambda: copy(events), 5)
    finally:
        await store.close()
    return Row(CLAIM, mine, theirs, "1/s", ratio, 0.5)


async def _producers(url: URL, live: list[str], copy: Any, events: int) -> AsyncIterator[Row]:
    """The journal with 100 producers, whose groups grow as they can."""
    store = SqlStore(_text(url))
    async with writing(store, live) as writer:

        async def ours() -> int:
            return await writer.awaiting(100, events)

        await ours(), await copy(events)
        writer.percentiles()
        mine, theirs, ratio = await in_turns(ours, lambda: copy(events), 5)
        p50, p99 = writer.percentiles()
    yield Row("  100 await each / asyncpg COPY", mine, theirs, "1/s", ratio, 0.3)
    yield Row("  acknowledgement p50 and p99, the latter at most 15", p50, p99, "ms", p99, -15)
