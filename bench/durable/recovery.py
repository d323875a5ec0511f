"""A start with many runs in the file whose process is gone."""

from __future__ import annotations

from asyncio import gather
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

from callboard import LifecycleEventType, Runtime
from callboard.domain import EventCategory, StopReason
from callboard.store.sql import SqlStore

from ..measure import Row
from .commits import url_of
from .load import begun, names


async def rows(folder: Path, scale: float) -> AsyncIterator[Row]:
    """The line about the start, after which each orphan has ended exactly once."""
    orphans, url = names(int(10_000 * scale)), url_of(folder / "orphans.db")
    await begun(SqlStore(url), orphans)
    runtime = Runtime(store=url)
    began = perf_counter()
    async with runtime:
        ready = perf_counter() - began
        results = await gather(*(runtime.wait(run_id) for run_id in orphans))
        settled = perf_counter() - began
    if any(result.stop_reason is not StopReason.ORPHANED for result in results):
        raise RuntimeError("an orphan was not settled as one")
    store = SqlStore(url)
    await store.open()
    ends = await _ends(store)
    await store.close()
    if ends != Counter(orphans):
        raise RuntimeError("an orphan was not settled exactly once")
    yield Row(f"start with {len(orphans):,} orphans, ready", ready, 2.0, "s", ready, -2)
    yield Row("  and all of them settled, each once", settled, 10.0, "s", settled, -10)


async def _ends(store: SqlStore) -> Counter[str]:
    """How often each run failed, says the log."""
    ends: Counter[str] = Counter()
    after = 0
    while events := await store.events.read(after=after, category=EventCategory.LIFECYCLE):
        after = events[-1].position
        failed = [e for e in events if e.event_type == LifecycleEventType.RUN_FAILED]
        ends.update(event.run_id for event in failed)
    return ends
