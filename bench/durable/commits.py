"""Events, acknowledged once they are stored: against `sqlite3` itself, and LangGraph's saver."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from callboard.store.sql import SqlStore

from ..measure import Row, in_turns, rate
from .load import Groups, Writer, begun, claim, names, writing
from .peers import CheckpointSaver
from .raw import RawSqlite

SEASON = 30_000
"""Events in each file beforehand. In an empty one all threads share a page of each index."""


def url_of(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


@asynccontextmanager
async def contest(folder: Path, name: str, runs: int) -> AsyncIterator[tuple[Writer, RawSqlite]]:
    """Ours and `sqlite3`, each on a file of its own with that many running runs."""
    ours, theirs = folder / f"{name}.db", folder / f"{name}-raw.db"
    live = names(runs)
    await begun(SqlStore(url_of(ours)), live, SEASON)
    raw = RawSqlite(ours, theirs)
    try:
        async with writing(SqlStore(url_of(ours)), live) as writer:
            yield writer, raw
    finally:
        raw.close()


@contextmanager
def busy_thread() -> Iterator[None]:
    """An OS thread that computes in Python and never waits."""
    over = threading.Event()

    def compute() -> None:
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def rows(folder: Path, scale: float) -> AsyncIterator[Row | str]:
    """The lines about single events, groups and windows of them."""
    row: Row | str
    async for row in _groups(folder, scale):
        yield row
    async with contest(folder, "hundred", 100) as (writer, raw):
        async for row in _hundred(writer, raw, scale):
            yield row
        async for row in _saver(writer, folder, scale):
            yield row
    async with contest(folder, "window", 10) as (writer, raw):
        async for row in _windowed(writer, raw, scale):
            yield row
    async with contest(folder, "single", 100) as (writer, raw):
        async for row in _single(writer, raw, scale):
            yield row


async def _hundred(writer: Writer, raw: RawSqlite, scale: float) -> AsyncIterator[Row]:
    events = int(20_000 * scale)

    async def ours() -> int:
        return await writer.awaiting(100, events)

    async def theirs() -> int:
        return raw.write(events, 100)

    await ours(), await theirs()
    writer.percentiles()
    mine, their, ratio = await in_turns(ours, theirs, 7)
    yield Row("events/s, 100 await each / sqlite3, batches of 100", mine, their, "1/s", ratio, 0.8)
    p50, p99 = writer.percentiles()
    yield Row("  acknowledgement p50 and p99, the latter at most 15", p50, p99, "ms", p99, -15)
    with busy_thread():
        mine = await rate(lambda: writer.awaiting(100, events // 5 // 100 * 100))
    p50, p99 = writer.percentiles()
    yield Row("  beside a computing OS thread, at least 4,000", mine, 4000, "1/s", mine, 4000)
    yield Row("  its acknowledgement p50 and p99", p50, p99, "ms", p99, -250)


async def _groups(folder: Path, scale: float) -> AsyncIterator[Row]:
    """The store alone, without a journal: how fast, and how many bytes an event."""
    path, live, events = folder / "groups.db", names(100), int(20_000 * scale)
    await begun(SqlStore(url_of(path)), live, SEASON)
    raw, store = RawSqlite(path, folder / "groups-raw.db"), SqlStore(url_of(path))
    groups = Groups(store, await claim(store), live)

    async def ours() -> int:
        return await groups.write(events)

    async def theirs(count: int = events) -> int:
        return raw.write(count, 100)

    await ours(), await theirs()
    mine, their, ratio = await in_turns(ours, theirs, 5)
    yield Row("events/s, groups of 100, no journal / sqlite3", mine, their, "1/s", ratio, 0.5)
    many = 20_000  # enough for the log to be written back into the file, whatever the scale
    mine = await _written(lambda: groups.write(many)) / many / 1000
    their = await _written(lambda: theirs(many)) / many / 1000
    yield Row("  written for each / sqlite3, at most 8", mine, their, "kB", mine, -8)
    raw.close()
    await store.close()


async def _written(work: Callable[[], Awaitable[int]]) -> int:
    """The bytes that this process gives to write() meanwhile."""
    before = _handed_over()
    await work()
    return _handed_over() - before


def _handed_over() -> int:
    """The bytes this process has given to write() so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


async def _windowed(writer: Writer, raw: RawSqlite, scale: float) -> AsyncIterator[Row]:
    events = int(50_000 * scale)

    async def ours() -> int:
        return await writer.windowed(1000, events)

    async def theirs() -> int:
        return raw.write(events, 1000)

    await ours(), await theirs()
    writer.percentiles()
    mine, their, ratio = await in_turns(ours, theirs, 7)
    claim = "events/s, window of 1,000 / sqlite3, batches of 1,000"
    yield Row(claim, mine, their, "1/s", ratio, 0.45)
    p50, p99 = writer.percentiles()
    yield Row("  acknowledgement p50 and p99, the latter at most 60", p50, p99, "ms", p99, -60)
    with busy_thread():
        mine = await rate(lambda: writer.windowed(1000, events // 5))
    yield Row("  beside a computing OS thread, at least 4,000", mine, 4000, "1/s", mine, 4000)
    writer.percentiles()


async def _single(writer: Writer, raw: RawSqlite, scale: float) -> AsyncIterator[Row]:
    events = int(5_000 * scale)

    async def ours() -> int:
        return await writer.awaiting(1, events)

    async def theirs() -> int:
        return raw.write_singly(events)

    await ours(), await theirs()
    writer.percentiles()
    mine, their, ratio = await in_turns(ours, theirs, 7)
    yield Row("events/s, 1 awaits each / sqlite3, single commits", mine, their, "1/s", ratio, 0.6)
    p50, p99 = writer.percentiles()
    yield Row("  acknowledgement p50 and p99, the former at most 0.3", p50, p99, "ms", p50, -0.3)


async def _saver(writer: Writer, folder: Path, scale: float) -> AsyncIterator[Row | str]:
    """The peer that commits once for each checkpoint."""
    claim = "events/s, 100 await each / AsyncSqliteSaver.aput, 100 writers"
    if not CheckpointSaver.installed():
        yield f"{claim}: langgraph-checkpoint-sqlite is not installed"
        return
    events = int(10_000 * scale)
    async with CheckpointSaver.opened(folder / "saver.db") as saver:

        async def ours() -> int:
            return await writer.awaiting(100, events)

        async def theirs() -> int:
            return await saver.write(100, events // 4)

        await ours(), await theirs()
        mine, their, ratio = await in_turns(ours, theirs, 5)
    yield Row(claim, mine, their, "1/s", ratio, 5)
    writer.percentiles()
