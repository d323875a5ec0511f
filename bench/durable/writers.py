"""The choice of SQLite's writer: SQLAlchemy on an OS thread of its own, or through aiosqlite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Literal

from callboard.store.sql import SqlStore

from ..measure import Row, in_turns
from .commits import SEASON, busy_thread, url_of
from .load import Writer, begun, names, writing

Work = Callable[[Writer], Awaitable[int]]


async def rows(folder: Path, scale: float) -> AsyncIterator[Row]:
    """The lines about both, under every load, alone and beside a computing OS thread."""
    async with AsyncExitStack() as stack:

        async def opened(kind: Literal["thread", "async"]) -> Writer:
            url, live = url_of(folder / f"{kind}.db"), names(100)
            await begun(SqlStore(url), live, SEASON)
            return await stack.enter_async_context(writing(SqlStore(url, writer=kind), live))

        both = await opened("thread"), await opened("async")
        yield await _row("1 awaits each", both, lambda w: w.awaiting(1, int(3000 * scale)))
        for events, beside in ((20_000, False), (5_000, True)):
            with busy_thread() if beside else nullcontext():
                where = ", CPU busy" if beside else ""
                count = int(events * scale)
                yield await _row(f"100 await each{where}", both, _hundred(count))
                yield await _row(f"window of 1,000{where}", both, _window(count))


def _hundred(events: int) -> Work:
    return lambda writer: writer.awaiting(100, events)


def _window(events: int) -> Work:
    return lambda writer: writer.windowed(1000, events)


async def _row(load: str, both: tuple[Writer, Writer], work: Work) -> Row:
    thread, through_aiosqlite = both
    mine, theirs, ratio = await in_turns(lambda: work(thread), lambda: work(through_aiosqlite), 3)
    return Row(f"writer on a thread / aiosqlite: {load}", mine, theirs, "1/s", ratio, 1)
