"""The store in memory: complete, and gone with the process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...domain.identifiers import Slot
from ..ports import APPLIED, Entry, NewEvent, Outcome, Verdict
from .checkpoints import MemoryCheckpointStore
from .event_table import EventTable
from .events import MemoryEventLog
from .run_table import RunTable
from .runs import MemoryRunStore

_FENCED = Outcome(Verdict.FENCED)
_DUPLICATE = Outcome(Verdict.DUPLICATE)
_STALE = Outcome(Verdict.STALE)


class MemoryStore:
    """Keeps everything in memory. For tests, demos, and hosts that need no more.

    It may outlive a runtime and be given to the next one. What is deleted is freed; see
    `EventTable` for the one number that outlives its threads.
    """

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._epoch = 0
        self._run_table = RunTable()
        self._event_table = EventTable()
        self._runs = MemoryRunStore(self._run_table, self._event_table)
        self._events = MemoryEventLog(self._event_table, self._run_table)
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
        fence, insert, change, events, erase_thread = entry
        if self._epochs.get(fence.slot) != fence.epoch:
            return _FENCED
        fault = self._fault(entry)
        if fault is not None:
            return Outcome(Verdict.FAILED, error=fault)
        if insert is not None:
            if not self._run_table.insert(insert):
                return _DUPLICATE
        elif change is not None:
            if not self._run_table.change(change):
                return self._refused(events)
        elif erase_thread is not None:
            self._erase(erase_thread)
        if not events:
            return APPLIED
        stored = self._event_table.append(events)
        return Outcome(Verdict.APPLIED, stored, stored.position)

    def _fault(self, entry: Entry) -> str | None:
        """Why an entry cannot be stored. Looked for before anything of it is written."""
        _, insert, change, events, erase_thread = entry
        if (insert is None) + (change is None) + (erase_thread is None) < 2:
            return "an entry holds at most one of insert, change and erase_thread"
        return self._event_table.fault(events) if events else None

    def _refused(self, events: tuple[NewEvent, ...]) -> Outcome:
        """The change's run stands elsewhere: because it was written before, or is stale."""
        stored = self._event_table.stored(events)
        return Outcome(Verdict.APPLIED, stored, stored.position) if stored else _STALE

    def _erase(self, thread_id: str) -> None:
        self._run_table.remove_thread(thread_id)
        self._event_table.delete_thread(thread_id)
        self._checkpoints.forget_thread(thread_id)
