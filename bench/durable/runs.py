"""Whole durable runs, create to success: against DBOS, and with a commit for each write."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from callboard import Runtime, Settings
from callboard.store.entries import Entry, Outcome
from callboard.store.sql import SqlStore

from ..measure import Row, rate
from .commits import url_of
from .peers import Workflows

ROUNDS = 3


async def agent(_: Any) -> None:
    """An agent that has nothing to do."""


class OneByOne(SqlStore):
    """Commits each entry by itself."""

    async def commit(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write a group of entries, a transaction each."""
        return [(await super(OneByOne, self).commit([entry]))[0] for entry in group]


async def _runs(runtime: Runtime, threads: int, runs: int) -> int:
    async def converse(thread: str) -> None:
        for _ in range(runs // threads):
            result = await runtime.create_and_wait(thread, "agent")
            assert result.status == "success"

    await asyncio.gather(*(converse(f"t{number}") for number in range(threads)))
    return runs // threads * threads


async def rows(folder: Path, scale: float) -> AsyncIterator[Row | str]:
    """The lines about runs, with 1, 20 and 200 threads."""
    settings = Settings(keep_streams=100)
    grouped, single = url_of(folder / "grouped.db"), OneByOne(url_of(folder / "single.db"))
    async with (
        Runtime({"agent": agent}, store=grouped, settings=settings) as ours,
        Runtime({"agent": agent}, store=single, settings=settings) as plain,
    ):
        if Workflows.installed():
            async with Workflows.started(folder / "dbos.sqlite") as dbos:
                async for row in _against(dbos, ours, plain, scale):
                    yield row
        else:
            yield "durable runs/s / DBOS workflows of one step: dbos is not installed"
            async for row in _against(None, ours, plain, scale):
                yield row


async def _against(
    dbos: Workflows | None, ours: Runtime, plain: Runtime, scale: float
) -> AsyncIterator[Row]:
    for threads in (1, 20, 200):
        runs = max(threads, int((1000 if threads == 1 else 4000) * scale))
        few, workflows = max(threads, runs // 4), max(threads, int(200 * scale))
        await _runs(ours, threads, few)
        await _runs(plain, threads, few)
        if dbos:
            await dbos.rate(1, 10)
        mine: list[float] = []
        single: list[float] = []
        theirs: list[float] = []
        for _ in range(ROUNDS):
            mine.append(await rate(lambda: _runs(ours, threads, runs)))  # noqa: B023
            single.append(await rate(lambda: _runs(plain, threads, few)))  # noqa: B023
            if dbos:
                theirs.append(await dbos.rate(threads, workflows))
        with_threads = f"{threads} thread{'s' if threads > 1 else ''}"
        if dbos:
            yield _row(f"durable runs/s, {with_threads} / DBOS", mine, theirs, 5)
            yield _row("  a commit for each write / DBOS", single, theirs, 1)
        yield _row(f"  in groups / a commit for each write, {with_threads}", mine, single, 0.9)


def _row(claim: str, mine: Sequence[float], theirs: Sequence[float], target: float) -> Row:
    ratio = statistics.median(one / two for one, two in zip(mine, theirs, strict=True))
    return Row(claim, statistics.median(mine), statistics.median(theirs), "1/s", ratio, target)
