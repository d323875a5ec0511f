"""A long log: what reading a page of it costs, and what it costs to keep."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from callboard import Runtime

from ..measure import Row
from .commits import url_of
from .load import Writer, begin, joined, names

RUNS = 100


async def rows(folder: Path, scale: float) -> AsyncIterator[Row]:
    """The lines about 1,000,000 events; 200,000 of them when it has to be quick."""
    events, path = max(200_000, int(1_000_000 * scale)), folder / "long.db"
    async with Runtime(store=url_of(path)) as runtime:
        wiring, live = runtime._open_house().wiring, names(RUNS)
        await begin(wiring.store, wiring.fence, live)
        writer = joined(wiring.kernel, wiring.journal, wiring.fence, live)
        async for row in _fill(writer, path, events):
            yield row
        async for row in _pages(runtime, writer, int(2000 * scale), f"{events:,}"):
            yield row


async def _fill(writer: Writer, path: Path, events: int) -> AsyncIterator[Row]:
    wal, steps = path.with_name(path.name + "-wal"), 10
    sizes, resident = [], []
    began = perf_counter()
    for _ in range(steps):
        await writer.windowed(1000, events // steps)
        writer.percentiles()
        sizes.append(wal.stat().st_size / 2**20)
        resident.append(_resident())
    speed = events / (perf_counter() - began)
    grown = resident[-1] - resident[1]
    yield Row(f"events/s, {events:,} of {RUNS} runs", speed, 25_000, "1/s", speed, 25_000)
    yield Row("  WAL at most", max(sizes), 64, "MiB", max(sizes), -64)
    yield Row("  resident memory, and its growth after a fifth", resident[-1], 8, "MiB", grown, -8)


def _resident() -> float:
    """MiB of memory this process has in use."""
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


async def _pages(runtime: Runtime, writer: Writer, pages: int, log: str) -> AsyncIterator[Row]:
    idle, loaded, chance = [], [], random.Random(7)
    await _read(runtime, chance, 100)
    for _ in range(3):
        idle += await _read(runtime, chance, pages)
        over = asyncio.Event()
        writing = asyncio.create_task(_flat_out(writer, over))
        loaded += await _read(runtime, chance, pages)
        over.set()
        await writing
    (p50, p99), (loaded_p50, loaded_p99) = _cuts(idle), _cuts(loaded)
    yield Row(f"page of 50 messages out of {log}, p50 and p99", p50, p99, "ms", p99, -2)
    yield Row("  p99 while a writer runs flat out / idle", loaded_p99, p99, "ms", loaded_p99, -2)
    slower = loaded_p50 / p50
    yield Row("  p50 while a writer runs flat out / idle", loaded_p50, p50, "ms", slower, -1.5)


async def _read(runtime: Runtime, chance: random.Random, pages: int) -> list[float]:
    """Seconds that each of some pages took, from anywhere in the log."""
    took, threads = [], names(RUNS)
    newest = [(await runtime.list_messages(thread))[-1].seq for thread in threads]
    for _ in range(pages):
        which = chance.randrange(RUNS)
        before = chance.randrange(200, newest[which])
        began = perf_counter()
        page = await runtime.list_messages(threads[which], before_seq=before)
        took.append(perf_counter() - began)
        if len(page) != 50:
            raise RuntimeError(f"a page has {len(page)} messages")
    return took


async def _flat_out(writer: Writer, over: asyncio.Event) -> None:
    """100 producers that await each event, until it is over."""
    while not over.is_set():
        await writer.awaiting(100, 1000)
    writer.percentiles()


def _cuts(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3
