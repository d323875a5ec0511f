"""A disk that outlives processes, and the store through which one process sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from ...domain.enums import EventCategory, RunStatus
from ...domain.identifiers import Slot
from ...domain.store_errors import OutcomeUnknown, StoreUnavailable
from ...domain.views import StoredRunEvent
from ...store import MemoryStore
from ...store.entries import DropState, Entry, Outcome, PutThread, SaveState, Verdict
from ...store.ports import CheckpointStore, EventLog, RunStore, ThreadStore
from .turbulence import Turbulence

_LONGEST_PAUSE = 0.5
"""Virtual seconds that a slow store takes for an answer."""
_LONGEST_HANG = 25.0
"""Virtual seconds that a hanging one does."""


class Reader(Protocol):
    """Is told of every durable fact, at the moment it becomes one."""

    def inserted(self, run: Any) -> None:
        """A run exists (`RunSnapshot`)."""

    def moved(self, run_id: str, status: str, reason: str | None, action: str | None) -> None:
        """A run's status changed."""

    def logged(self, run_id: str, sequence: int, event_id: str, kind: str) -> None:
        """A lifecycle event is in the log. Said again when it is written again."""

    def saved(self, thread_id: str, run_id: str) -> None:
        """A run made this its thread's state."""

    def dropped(self, thread_id: str, run_id: str) -> None:
        """What a run saved is forgotten."""

    def erased(self, run_id: str) -> None:
        """A run's record is deleted."""

    def erased_all(self, thread_id: str) -> None:
        """All that was recorded on a thread is deleted."""

    def recorded(self, thread_id: str, metadata: dict[str, Any], *, anew: bool) -> None:
        """A thread's own record is made, or some keys of its metadata are set."""


class Disk:
    """What is durable.

    Args:
        reader: is told of every fact, if there is one.

    """

    def __init__(self, reader: Reader | None = None) -> None:
        self.memory = MemoryStore()
        self._reader = reader

    def write(self, entry: Entry, *, again: bool = False) -> Outcome:
        """Write one entry, all or nothing.

        Args:
            entry: the entry.
            again: it was written before, and whoever sent it has not heard of that. A saved
                state does not show that by itself.

        """
        before = self._status(entry)
        outcome = self.memory.commit([entry])[0]
        if outcome.verdict is Verdict.APPLIED and self._reader is not None:
            events = outcome.events
            if again:
                entry = entry._replace(checkpoint=None)
                # Those of other runs are about to be erased again.
                events = [event for event in events if self._has_run(event.run_id)]
            _tell(self._reader, entry, events, before)
        return outcome

    def _has_run(self, run_id: str | None) -> bool:
        return run_id is not None and self.memory._run_table.get(run_id) is not None

    def _status(self, entry: Entry) -> RunStatus | None:
        """Of the run whose record it writes; `None` if there is none."""
        run = entry.change or entry.insert
        row = None if run is None else self.memory._run_table.get(run.run_id)
        return None if row is None else row.status


def _tell(
    reader: Reader, entry: Entry, events: Sequence[StoredRunEvent], before: RunStatus | None
) -> None:
    if entry.insert is not None and before is None:
        reader.inserted(entry.insert)
    change = entry.change
    if change is not None and before is change.expected and before is not change.target:
        reason, action = change.stop_reason, change.action
        reader.moved(change.run_id, change.target, reason and str(reason), action and str(action))
    if entry.thread is not None:
        anew = isinstance(entry.thread, PutThread)
        reader.recorded(entry.thread.thread_id, entry.thread.metadata, anew=anew)
    if entry.erase_run is not None:
        reader.erased(entry.erase_run)
    if entry.erase_thread is not None:
        reader.erased_all(entry.erase_thread)
    if isinstance(entry.checkpoint, SaveState):
        reader.saved(entry.checkpoint.thread_id, entry.checkpoint.run_id)
    elif isinstance(entry.checkpoint, DropState):
        reader.dropped(*entry.checkpoint)
    for event in events:
        if event.category is EventCategory.LIFECYCLE:
            number = event.sequence or 0
            reader.logged(str(event.run_id), number, event.event_id, event.event_type)


class _Medium:
    """One shelf of the memory store, as slow and as unreliable as the real ones are."""

    def __init__(self, shelf: Any, store: SimulatedStore) -> None:
        self._shelf = shelf
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._shelf, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._store.answer_for(f"{name}{args[:1]}")
            answer = await method(*args, **kwargs)
            await self._store.pause()
            return answer

        return call


class SimulatedStore:
    """The port `Store` of one process, on a disk that others will find.

    Args:
        disk: what is durable.
        turbulence: decides what goes wrong.

    """

    def __init__(self, disk: Disk, turbulence: Turbulence) -> None:
        self._disk = disk
        self._turbulence = turbulence
        self._doubted: Sequence[Entry] | None = None
        """What was written of a group that is in doubt; `None` if none is."""
        memory = disk.memory
        self.runs = cast("RunStore", _Medium(memory.runs, self))
        self.events = cast("EventLog", _Medium(memory.events, self))
        self.checkpoints = cast("CheckpointStore", _Medium(memory.checkpoints, self))
        self.threads = cast("ThreadStore", _Medium(memory.threads, self))

    def _was_doubted(self, entry: Entry) -> bool:
        return any(entry is each for each in self._doubted or ())

    async def pause(self) -> None:
        """Take some time, or hardly any."""
        slow = self._turbulence.strikes("slow store")
        await asyncio.sleep(self._turbulence.choices.between(0, _LONGEST_PAUSE) if slow else 0)

    async def answer_for(self, what: str) -> None:
        """Take some time, and fail now and then.

        Raises:
            StoreUnavailable: this time it does.

        """
        await self.pause()
        if self._turbulence.strikes("read fails"):
            raise StoreUnavailable(what, "the simulation wants it so")

    async def open(self) -> None:
        """Make the store ready."""
        await self.answer_for("opening")

    async def close(self) -> None:
        """Nothing to release."""

    @property
    def lease(self) -> None:
        """A claim holds as long as there is no other."""

    @property
    def heartbeat(self) -> None:
        """Nobody else could take anything."""

    async def claim(self, slots: Iterable[Slot]) -> int:
        """Become the owner of `slots`."""
        await self.answer_for("the claim of slots")
        return await self._disk.memory.claim(slots)

    async def renew(self) -> frozenset[Slot]:
        """Everything that was claimed is still this store's."""
        return await self._disk.memory.renew()

    async def abandoned(self) -> frozenset[Slot]:
        """None."""
        return frozenset()

    async def release(self) -> None:
        """Whoever claims next, may."""

    async def commit(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write a group of entries, or fail in one of the ways in which stores do.

        Raises:
            StoreUnavailable: nothing is stored.
            OutcomeUnknown: all of it, a part of it or nothing is stored.

        """
        turbulence = self._turbulence
        await self.pause()
        if turbulence.strikes("store hangs"):
            await asyncio.sleep(turbulence.choices.between(1.0, _LONGEST_HANG))
        if turbulence.strikes("store fails"):
            # Who has not said what became of a group does not know, and must not say that
            # nothing is stored, before it has looked.
            unknown = self._doubted is not None
            error = OutcomeUnknown if unknown else StoreUnavailable
            raise error("a group", "the simulation wants it so")
        lost = turbulence.strikes("answer lost")
        stored = turbulence.choices.below(len(group) + 1) if lost else len(group)
        written = group[:stored]
        outcomes = [self._disk.write(entry, again=self._was_doubted(entry)) for entry in written]
        self._doubted = (*(self._doubted or ()), *written) if lost else None
        await self.pause()
        if lost:
            raise OutcomeUnknown("a group", "the simulation lost the answer")
        return outcomes
