"""Admit, run, finish: against the registry with one lock, and as past runs pile up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from callboard import Runtime, Settings

from .measure import Row, in_turns, rate
from .registry import LockedRegistry

THREADS = 50
"""Conversations at a time."""


async def agent(_: Any) -> None:
    """An agent that has nothing to do."""


async def _ours(runtime: Runtime, runs: int, *, retain: bool) -> int:
    async def converse(thread: str) -> None:
        for _ in range(runs // THREADS):
            result = await runtime.create_and_wait(thread, "agent")
            if not retain:
                await runtime.delete_run(result.run_id)

    await asyncio.gather(*(converse(f"t{number}") for number in range(THREADS)))
    return runs


async def _peer(registry: LockedRegistry, runs: int) -> int:
    async def converse(thread: str) -> None:
        for _ in range(runs // THREADS):
            await registry.wait(await registry.create(thread))

    await asyncio.gather(*(converse(f"t{number}") for number in range(THREADS)))
    return runs


async def rows(scale: float) -> AsyncIterator[Row]:
    """The lines about runs."""
    runs, settings = int(3000 * scale) // THREADS * THREADS, Settings(keep_streams=100)
    async with Runtime({"agent": agent}, settings=settings) as runtime:
        registry = LockedRegistry(agent, retain=False)
        mine, theirs, ratio = await in_turns(
            lambda: _ours(runtime, runs, retain=False), lambda: _peer(registry, runs), 5
        )
        yield Row(
            "runs a second, none kept / locked registry, none kept", mine, theirs, "1/s", ratio, 0.7
        )
    async with Runtime({"agent": agent}, settings=settings) as runtime:
        await _ours(runtime, runs, retain=True)
        few = max([await rate(lambda: _ours(runtime, runs, retain=True)) for _ in range(3)])
        await _ours(runtime, int(100_000 * scale) // THREADS * THREADS, retain=True)
        many = max([await rate(lambda: _ours(runtime, runs, retain=True)) for _ in range(3)])
        kept = f"{int(100_000 * scale):,}"
        yield Row(f"runs a second, {kept} kept / few kept", many, few, "1/s", many / few, 0.9)
    registry = LockedRegistry(agent, retain=True)
    few = await rate(lambda: _peer(registry, THREADS * 2))
    await _peer(registry, int(5_000 * scale) // THREADS * THREADS)
    many = await rate(lambda: _peer(registry, THREADS * 4))
    claim = f"(the registry, {int(5_000 * scale):,} kept / few kept)"
    yield Row(claim, many, few, "1/s", many / few, 0.0001)
