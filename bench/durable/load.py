"""Events for a store: from producers that await each, or a window of those not yet stored."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from time import perf_counter
from typing import Any

from callboard.domain import (
    AssistantId,
    CreateRunCommand,
    EventCategory,
    RunId,
    RunSnapshot,
    RunStatus,
    ThreadId,
)
from callboard.domain.fence import Fence
from callboard.domain.identifiers import SLOTS, Slot, slot_of
from callboard.kernel import Kernel, LoopActor, LoopRef, handles
from callboard.observers import Append, Barrier, Committed, JournalActor, StoreTrouble
from callboard.store.entries import Entry, NewEvent, Verdict
from callboard.store.ports import Store

PAYLOAD = {
    "type": "ai",
    "id": "lc_run--0199f3c2-7d5e-7c11-9a04-5b1f0e6d2c88",
    "text": "The order left the warehouse this morning and should reach you on Thursday. " * 2,
    "usage": {"input_tokens": 18240, "output_tokens": 6152},
}
"""279 bytes of JSON."""

MIX = (EventCategory.MESSAGE, EventCategory.FRAME, EventCategory.FRAME)
"""The categories of a run's events, in turn: those that come without a change of its record."""

PATIENCE = 120.0
"""Seconds to wait for one acknowledgement before the benchmark has failed."""

Fencing = Callable[[str], Fence]


class Desk(LoopActor):
    """Hands acknowledgements to those who wait: a tag is called with the outcome."""

    @handles(Committed, system=True)
    def _committed(self, message: Committed) -> None:
        if message.outcome.verdict is not Verdict.APPLIED:
            raise RuntimeError(f"an event was not stored: {message.outcome}")
        message.tag(message.outcome)  # type: ignore[operator] # see above

    @handles(StoreTrouble, system=True)
    def _trouble(self, message: StoreTrouble) -> None:
        raise RuntimeError(f"the store failed: {message.error}")


class Writer:
    """Writes events of some running runs, each on a thread of its own, through a journal.

    Args:
        journal: the one writer.
        desk: gets its answers.
        fence: that of a thread.
        names: the runs, and by the same names their threads.

    """

    def __init__(
        self, journal: LoopRef[Any], desk: LoopRef[Any], fence: Fencing, names: Sequence[str]
    ) -> None:
        self._journal = journal
        self._desk = desk
        self._runs = [(name, fence(name)) for name in names]
        self._turns = count()
        self.latencies: list[float] = []
        """Seconds from sending each event to its acknowledgement."""

    def _send(self, number: int, tag: Any) -> None:
        turn, which = divmod(number, len(self._runs))
        self._journal.send(Append(event_entry(*self._runs[which], turn), self._desk, tag))

    async def awaiting(self, producers: int, events: int) -> int:
        """Producers that send one event, await that it is stored, and send the next."""
        loop = asyncio.get_running_loop()

        async def produce() -> None:
            for _ in range(events // producers):
                stored: asyncio.Future[object] = loop.create_future()
                began = perf_counter()
                self._send(next(self._turns), stored.set_result)
                await stored
                self.latencies.append(perf_counter() - began)

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(produce() for _ in range(producers)))
        return events // producers * producers

    async def windowed(self, window: int, events: int) -> int:
        """One producer that sends as long as fewer than `window` events wait for an answer."""
        loop, waiting = asyncio.get_running_loop(), 0
        room: asyncio.Future[None] | None = None

        def landed(began: float, _: object) -> None:
            nonlocal waiting
            waiting -= 1
            self.latencies.append(perf_counter() - began)
            if room is not None and not room.done():
                room.set_result(None)

        async with asyncio.timeout(PATIENCE):
            for _ in range(events):
                if waiting >= window:
                    room = loop.create_future()
                    await room
                waiting += 1
                self._send(next(self._turns), partial(landed, perf_counter()))
            await self._journal.request(Barrier())
        return events

    def percentiles(self) -> tuple[float, float]:
        """p50 and p99 of the latencies since the last call, in milliseconds."""
        cuts = statistics.quantiles(self.latencies, n=100)
        self.latencies.clear()
        return cuts[49] * 1e3, cuts[98] * 1e3


class Groups:
    """Commits groups of events, one for each run, one group after the other, by itself.

    Args:
        store: it is open.
        fence: that of a thread.
        names: the runs, which are recorded as running.

    """

    def __init__(self, store: Store, fence: Fencing, names: Sequence[str]) -> None:
        self._store = store
        self._runs = [(name, fence(name)) for name in names]
        self._turns = count()

    async def write(self, events: int) -> int:
        """Commit that many events."""
        groups = events // len(self._runs)
        for turn in islice(self._turns, groups):
            await settled(self._store, [event_entry(*run, turn) for run in self._runs])
        return groups * len(self._runs)


_unused = count(3)
"""Numbers for events: one that had another's would not be written again."""


def event_entry(name: str, fence: Fence, turn: int) -> Entry:
    """An entry with one new event, whose category is that of its turn."""
    category, number, now = MIX[turn % len(MIX)], next(_unused), datetime.now(UTC)
    if category is EventCategory.MESSAGE:
        key = f"{name}/message/{number}"
        event = NewEvent(key, name, name, category, "ai", PAYLOAD, now)
    else:
        key = f"{name}/frame/{number}"
        event = NewEvent(key, name, name, category, "messages", PAYLOAD, now, number)
    return Entry(fence, None, None, (event,))


def names(runs: int, prefix: str = "run") -> list[str]:
    """Names for that many runs, as long as real ones are."""
    return [f"{prefix}-0199f3c2-7d5e-7c11-9a04-{number:012d}" for number in range(runs)]


async def begin(store: Store, fence: Fencing, runs: Sequence[str]) -> None:
    """Record these runs as running."""
    now = datetime.now(UTC)

    def entry(name: str) -> Entry:
        request = CreateRunCommand(
            run_id=RunId(name), thread_id=ThreadId(name), assistant_id=AssistantId("agent")
        )
        run = RunSnapshot(
            request=request,
            status=RunStatus.RUNNING,
            created_at=now,
            updated_at=now,
            started_at=now,
            attempt=1,
        )
        events = [
            NewEvent(f"{name}/{n}", name, name, EventCategory.LIFECYCLE, kind, {}, now, n)
            for n, kind in enumerate(("run_created", "run_started"), 1)
        ]
        return Entry(fence(name), insert=run, events=tuple(events))

    outcomes = await settled(store, [entry(name) for name in runs])
    if any(outcome.verdict is not Verdict.APPLIED for outcome in outcomes):
        raise RuntimeError("the runs of the benchmark could not be stored")


async def settled(store: Store, group: list[Entry]) -> list[Any]:
    """Commit a group to a store that answers at once, or to one that is awaited."""
    answer = store.commit(group)
    return answer if isinstance(answer, list) else await answer


async def claim(store: Store) -> Fencing:
    """Open a store and own all its slots. Returns how a thread is fenced."""
    await store.open()
    epoch = await store.claim(Slot(slot) for slot in range(SLOTS))
    return lambda name: Fence(slot_of(name), epoch)


def joined(kernel: Kernel, journal: LoopRef[Any], fence: Fencing, runs: Sequence[str]) -> Writer:
    """A writer of these runs through a journal that is there."""
    return Writer(journal, kernel.spawn(Desk), fence, runs)


async def begun(store: Store, runs: Sequence[str], events: int = 0) -> None:
    """Record these runs as running in an empty store, give them events, and close it."""
    fence = await claim(store)
    await begin(store, fence, runs)
    await Groups(store, fence, runs).write(events)
    await store.close()


@asynccontextmanager
async def writing(store: Store, runs: Sequence[str]) -> AsyncIterator[Writer]:
    """A writer of these runs, which are recorded, into a store that is closed at the end."""
    fence = await claim(store)
    kernel = Kernel()
    journal = kernel.spawn(JournalActor, store, kernel.spawn(Desk), await store.events.head())
    try:
        yield joined(kernel, journal, fence, runs)
    finally:
        kernel.close()
        await store.close()
