"""The store in memory: complete, and gone with the process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...domain.identifiers import Slot
from ..ports import APPLIED, Entry, Outcome, Verdict
from .checkpoints import MemoryCheckpointStore
from .events import MemoryEventLog
from .runs import MemoryRunStore


class MemoryStore:
    """Keeps everything in memory. For tests, demos, and hosts that need no more.

    It may outlive a runtime and be given to the next one.
    """

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._epoch = 0
        self._runs = _Runs()
        self._events = MemoryEventLog(self._runs.visible)
        self._runs.events = self._events
        self._checkpoints = MemoryCheckpointStore(self._epochs)

    @property
    def runs(self) -> MemoryRunStore:
        """The records."""
        return self._runs

    @property
    def events(self) -> MemoryEventLog:
        """The log."""
        return self._events

    @property
    def checkpoints(self) -> MemoryCheckpointStore:
        """The state of plain agents."""
        return self._checkpoints

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do: it may be opened again."""

    async def claim(self, slots: Iterable[Slot]) -> int:
        """Become the owner of `slots`: whoever was it before can no longer write."""
        self._epoch += 1
        for slot in slots:
            self._epochs[slot] = self._epoch
        return self._epoch

    def commit(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write a group of entries, in order, each all or nothing."""
        return [self._write(entry) for entry in group]

    def _write(self, entry: Entry) -> Outcome:
        if self._epochs.get(entry.fence.slot) != entry.fence.epoch:
            return Outcome(Verdict.FENCED)
        if entry.insert is not None and not self._runs.insert(entry.insert):
            return Outcome(Verdict.DUPLICATE)
        if entry.change is not None and not self._runs.change(entry.change):
            return Outcome(Verdict.STALE)
        if entry.erase_thread is not None:
            self._erase(entry.erase_thread)
        if not entry.events:
            return APPLIED
        stored = self._events.store(entry.events)
        return Outcome(Verdict.APPLIED, stored, stored.position)

    def _erase(self, thread_id: str) -> None:
        self._runs.remove_thread(thread_id)
        self._events.erase(thread_id)
        self._checkpoints.forget_thread(thread_id)


class _Runs(MemoryRunStore):
    """Deletes a run's events with its record."""

    events: MemoryEventLog

    async def delete(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a record and its events."""
        deleted = await super().delete(run_id, user_id=user_id)
        if deleted:
            await self.events.delete_by_run(run_id)
        return deleted
