"""What an idle thread costs, while its actor is in memory and when it has left."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

from callboard import Runtime, Settings
from callboard.actors.messages import Activate, Describe

from .measure import Row


async def rows(scale: float) -> AsyncIterator[Row]:
    """The lines about memory: of the actors alone, for 100,000 threads."""
    threads = int(20_000 * scale)
    settings = Settings(passivate_after=2.0)
    async with Runtime({}, settings=settings) as runtime:
        house = runtime._house
        assert house is not None
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(threads):
            await house.wiring.supervisor.request(Activate(f"thread-{number}", Describe()))
        gc.collect()
        idle = tracemalloc.get_traced_memory()[0] - before
        while house.registry.threads:  # noqa: ASYNC110 - what is measured sets no event
            await asyncio.sleep(0.1)
        gc.collect()
        gone = max(0, tracemalloc.get_traced_memory()[0] - before)
        tracemalloc.stop()
    each = 100_000 / threads / 1e6
    yield Row("100,000 idle threads in memory", idle * each, 150, "MB", idle * each, -150)
    # What is left is the room that dictionaries keep for the next 100,000.
    yield Row("100,000 passivated threads", gone * each, 10, "MB", gone * each, -10)
