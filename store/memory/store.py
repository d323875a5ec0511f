"""The store in memory: complete, and gone with the process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...domain.identifiers import Slot
from ..entries import APPLIED, Entry, NewEvent, Outcome, PatchThread, PutThread, Verdict
from ..kept import applied
from .checkpoints import MemoryCheckpointStore
from .event_table import EventTable
from .events import MemoryEventLog
from .run_table import RunTable
from .runs import MemoryRunStore
from .threads import MemoryThreadStore

_FENCED = Outcome(Verdict.FENCED)
_DUPLICATE = Outcome(Verdict.DUPLICATE)
_STALE = Outcome(Verdict.STALE)
_OVERFULL = Outcome(
    Verdict.FAILED, error="an entry holds at most one of insert, change and an erasure"
)


class MemoryStore:
    """Keeps everything in memory. For tests, demos, and hosts that need no more.

    It may outlive a runtime and be given to the next one. What is deleted is freed; see
    `EventTable` for the one number that outlives its threads.
    """

    def __init__(self) -> None:
        self._epochs: dict[int, int] = {}
        self._epoch = 0
        self._checkpoints = MemoryCheckpointStore()
        self._run_table = RunTable(self._is_kept, self._owner)
        self._threads = MemoryThreadStore(self._run_table)
        self._event_table = EventTable()
        self._runs = MemoryRunStore(self._run_table, self._event_table)
        self._events = MemoryEventLog(self._event_table, self._run_table)

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

    @property
    def threads(self) -> MemoryThreadStore:
        """What is recorded of threads themselves."""
        return self._threads

    def _is_kept(self, thread_id: str) -> bool:
        return self._checkpoints.has(thread_id) or self._threads.has(thread_id)

    def _owner(self, thread_id: str) -> str | None:
        return self._threads.owner(thread_id)

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do: it may be opened again."""

    @property
    def lease(self) -> None:
        """A claim holds as long as there is no other."""

    @property
    def heartbeat(self) -> None:
        """Nobody else could take anything."""

    async def renew(self) -> frozenset[Slot]:
        """Everything that was claimed is still this store's."""
        return frozenset(Slot(slot) for slot in self._epochs)

    async def abandoned(self) -> frozenset[Slot]:
        """None: there is no other process."""
        return frozenset()

    async def release(self) -> None:
        """Nothing to do: whoever claims next, may."""

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
        fence, insert, change, events, erase_thread, erase_run, checkpoint, thread = entry[:8]
        slot, epoch = fence
        if self._epochs.get(slot) != epoch:
            return _FENCED
        fault = self._event_table.fault(events) if events else None
        if fault is not None:
            taken = insert is not None and self._run_table.get(insert.run_id) is not None
            return _DUPLICATE if taken else Outcome(Verdict.FAILED, error=fault)
        if (insert, change, erase_thread, erase_run, checkpoint, thread).count(None) < 5:
            return _OVERFULL
        if insert is not None:
            if not self._run_table.insert(insert):
                return self._refused(events, _DUPLICATE)
        elif change is not None:
            if not self._run_table.change(change):
                return self._refused(events, _STALE)
        elif (outcome := self._keep_or_erase(entry)) is not APPLIED:
            return outcome
        return applied(self._event_table.append(events)) if events else APPLIED

    def _keep_or_erase(self, entry: Entry) -> Outcome:
        if entry.checkpoint is not None:
            self._checkpoints.write(entry.checkpoint)
            return APPLIED
        if entry.thread is not None:
            return self._record(entry.thread)
        spare = entry.unless_recorded
        return APPLIED if self._erase(entry.erase_thread, entry.erase_run, spare=spare) else _STALE

    def _record(self, thread: PutThread | PatchThread) -> Outcome:
        if isinstance(thread, PutThread):
            return APPLIED if self._threads.put(thread) else _DUPLICATE
        return APPLIED if self._threads.patch(thread) else _STALE

    def _refused(self, events: tuple[NewEvent, ...], otherwise: Outcome) -> Outcome:
        """The table did not take it: because it was written before, or for another reason."""
        found = self._event_table.find(events)
        return applied(found) if found else otherwise

    def _erase(self, thread_id: str | None, run_id: str | None, *, spare: bool) -> bool:
        if spare and thread_id is not None and self._threads.has(thread_id):
            return False
        if run_id is not None:
            self._run_table.remove(run_id)
            self._event_table.delete_run(run_id)
        if thread_id is not None:
            self._checkpoints.forget_thread(thread_id)
            self._threads.forget(thread_id)
            self._run_table.remove_thread(thread_id)
            self._event_table.delete_thread(thread_id)
        return True
