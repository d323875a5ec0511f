"""Frames to their subscribers, against a queue for each of them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

from callboard import RunContext, Runtime

from .measure import Row, in_turns

BURST = 50
"""Frames between two awaits of the publisher."""


def _publisher(frames: int) -> Any:
    async def agent(run: RunContext) -> None:
        await run.checkpoint.load()
        for number in range(frames):
            run.emit("custom", number)
            if number % BURST == 0:
                await run.flush()

    return agent


async def _ours(runtime: Runtime, subscribers: int) -> int:
    run = await runtime.create_run(None, "publisher", scope="stateless", after_seconds=0.001)

    async def read() -> int:
        return len([frame async for frame in runtime.stream(run.run_id)])

    return sum(await asyncio.gather(*(read() for _ in range(subscribers))))


async def _peer(frames: int, subscribers: int) -> int:
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in range(subscribers)]

    async def read(queue: asyncio.Queue[Any]) -> int:
        count = 0
        while await queue.get() is not None:
            count += 1
        return count

    readers = [asyncio.create_task(read(queue)) for queue in queues]
    for number in range(frames):
        for queue in queues:
            queue.put_nowait(("custom", number))
        if number % BURST == 0:
            await asyncio.sleep(0)
    for queue in queues:
        queue.put_nowait(None)
    return sum(await asyncio.gather(*readers))


async def rows(scale: float) -> AsyncIterator[Row]:
    """The lines about streams."""
    frames = int(20_000 * scale)
    async with Runtime({"publisher": _publisher(frames), "steady": _steady}) as runtime:
        for subscribers in (1, 10):
            mine, theirs, ratio = await in_turns(
                lambda: _ours(runtime, subscribers),  # noqa: B023 - called before the next one
                lambda: _peer(frames, subscribers),  # noqa: B023
                5,
            )
            claim = f"frames delivered to {subscribers} / asyncio.Queue each"
            yield Row(claim, mine, theirs, "1/s", ratio, 0.5)
        latencies = await _latencies(runtime, seconds=2 * scale)
        p99 = statistics.quantiles(latencies, n=100)[98] * 1e3
        yield Row("publish to subscriber at 10,000 frames/s, p99", p99, 5.0, "ms", p99, -5)


async def _steady(run: RunContext) -> None:
    """10,000 frames a second, in groups of ten, each with the time it was published."""
    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < run.input:
        while sent < now * 10_000:
            run.emit("custom", time.perf_counter())
            sent += 1
        await asyncio.sleep(0.001)


async def _latencies(runtime: Runtime, seconds: float) -> list[float]:
    stream = await runtime.create_and_stream("steady", "steady", input=max(0.2, seconds))
    return [time.perf_counter() - frame.data async for frame in stream if frame.event == "custom"]
