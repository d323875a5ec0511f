"""Writing entries: inside one transaction, on the one connection that writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from ...domain.fence import Fence
from ...domain.views import RunSnapshot, StoredRunEvent
from ..entries import APPLIED, Entry, NewEvent, Outcome, PutThread, RunChange, Verdict
from .checkpoints import CheckpointWriter
from .event_writer import EventWriter, last_sequence
from .record_writer import RecordWriter
from .roster import Roster
from .statements import Statements
from .threads import ThreadWriter
from .values import event_key

_FENCED = Outcome(Verdict.FENCED)
_DUPLICATE = Outcome(Verdict.DUPLICATE)
_STALE = Outcome(Verdict.STALE)
_OVERFULL = "an entry holds at most one of insert, change and an erasure"


class Written(NamedTuple):
    """A group that was written, and by what one can see that it was.

    Args:
        outcomes: of its entries.
        event: its first event, and the position of that; `None` if it has none.
        run: a run that it inserted, if it has no event.
        position: the last one given.

    """

    outcomes: list[Outcome]
    event: tuple[int, NewEvent] | None
    run: str | None
    position: int


class Writer:
    """Writes entries, and what hosts write without one.

    All methods run in the transaction of the connection they are given. When one raises, the
    transaction must be rolled back; and when one is, for whatever reason, `forget` called.

    Args:
        statements: for the connection's dialect.
        alone: no other process writes to the database meanwhile.

    """

    def __init__(self, statements: Statements, *, alone: bool) -> None:
        self.statements = statements
        self.roster = Roster(statements)
        self.records = RecordWriter(statements, self.roster)
        self._events = EventWriter(statements, self.roster)
        self._checkpoints = CheckpointWriter(statements, self.roster)
        self._threads = ThreadWriter(statements, self.roster)
        self._alone = alone
        self._epochs: dict[int, int] = {}
        self._epoch = -1
        """The last one given, when `_epochs` was read."""

    def forget(self) -> None:
        """Remember nothing of what was written: it may not have been committed."""
        self.roster.known.forget()
        self._epoch = -1

    def commit(self, connection: Connection, group: Sequence[Entry]) -> Written:
        """Write a group of entries, in order.

        Raises:
            Unstorable: one of them cannot be stored.

        """
        self.reserve(connection, sum(len(entry.events) for entry in group))
        first = self._events.position + 1
        outcomes = [self._write(connection, entry) for entry in group]
        self._events.flush(connection)
        position = self._events.position
        if self._events.first is not None:
            return Written(outcomes, (first, self._events.first), None, position)
        inserted = (
            entry.insert.run_id
            for entry, outcome in zip(group, outcomes, strict=True)
            if entry.insert is not None and outcome.verdict is Verdict.APPLIED
        )
        return Written(outcomes, None, next(inserted, None), position)

    def arrived(self, connection: Connection, written: Written) -> bool:
        """Whether a commit that was not answered did arrive.

        One that wrote neither events nor a run can be made again without harm.
        """
        self.reserve(connection, 0)  # behind the commit, if the server is still at work on it
        if written.event is not None:
            at, event = written.event  # others may have been given its position instead
            found = self.statements.event_at.run(connection, at=at).first()
            return found is not None and tuple(found) == (event.run_id, event_key(event))
        if written.run is not None:
            return self.statements.find_run.run(connection, run_id=written.run).first() is not None
        return False

    def append(self, connection: Connection, events: Sequence[NewEvent]) -> list[StoredRunEvent]:
        """Append events of one thread.

        Raises:
            Unstorable: they are of several threads, or a run is on another one.

        """
        self.reserve(connection, len(events))
        outcome = self._events.add(connection, events)
        self._events.flush(connection)
        return list(outcome.events)

    def reserve(self, connection: Connection, count: int) -> None:
        """Take the next `count` positions, and learn who owns what.

        Where others write as well, it holds the row that they must change, and whoever
        claims a slot, until the transaction ends.
        """
        if self._alone:
            epoch = self._continue(connection)
        else:
            now = self.statements.reserve.run(connection, count=count).one()
            self._events.begin(now.position - count)
            epoch = now.epoch
        known = self.roster.known
        known.make_room()
        if epoch != self._epoch:
            known.forget()  # whoever claimed slots may have written their threads
            slots = self.statements.read_slots.run(connection)
            self._epochs = {row.slot: row.epoch for row in slots}
            self._epoch = epoch

    def _continue(self, connection: Connection) -> int:
        """Nobody else gives positions: the next is behind the last. Returns the epoch."""
        if self._epoch >= 0:
            self._events.begin(self._events.position)
            return int(self.statements.read_epoch.run(connection).one().epoch)
        now = self.statements.read_state.run(connection).one()
        self._events.begin(max(now.position, now.latest or 0))
        return int(now.epoch)

    def owns(self, fence: Fence) -> bool:
        """Whether the fence's epoch is its slot's; after `reserve`."""
        return self._epochs.get(fence.slot) == fence.epoch

    # One entry.

    def _write(self, connection: Connection, entry: Entry) -> Outcome:
        fence, insert, change, events, erase_thread, erase_run, checkpoint, thread = entry[:8]
        if not self.owns(fence):
            return _FENCED
        wanted = 6 - (insert, change, erase_thread, erase_run, checkpoint, thread).count(None)
        if wanted > 1:
            return Outcome(Verdict.FAILED, error=_OVERFULL)
        if insert is not None:
            return self._insert(connection, insert, events)
        if change is not None:
            return self._change(connection, change, events)
        if thread is not None and not self._threads.write(connection, thread):
            return _DUPLICATE if isinstance(thread, PutThread) else _STALE
        if checkpoint is not None:
            self._checkpoints.write(connection, checkpoint)
        if not self._erase(connection, erase_thread, erase_run, spare=entry.unless_recorded):
            return _STALE
        return self._events.add(connection, events) if events else APPLIED

    def _erase(
        self, connection: Connection, thread_id: str | None, run_id: str | None, *, spare: bool
    ) -> bool:
        if thread_id is None and run_id is None:
            return True
        if spare and thread_id is not None and self.records.has_record(connection, thread_id):
            return False
        self._events.flush(connection)
        if thread_id is not None:
            self.records.erase_thread(connection, thread_id)
        if run_id is not None:
            self.records.erase_run(connection, run_id)
        return True

    def _insert(
        self, connection: Connection, run: RunSnapshot, events: Sequence[NewEvent]
    ) -> Outcome:
        sequence = last_sequence(run.run_id, events) or 0
        if not self.records.insert(connection, run, sequence):
            return self._inserted_before(connection, run, events) or _DUPLICATE
        return self._events.add(connection, events) if events else APPLIED

    def _inserted_before(
        self, connection: Connection, run: RunSnapshot, events: Sequence[NewEvent]
    ) -> Outcome | None:
        known = self.roster.find_run(connection, run.run_id)
        if not events or known is None or known.thread_id != run.thread_id:
            return None
        return self._events.repeated(connection, events)

    def _change(
        self, connection: Connection, change: RunChange, events: Sequence[NewEvent]
    ) -> Outcome:
        if not events:
            return APPLIED if self.records.move(connection, change) else _STALE
        fresh = self._events.fresh(connection, events)
        if not fresh:
            return self._events.repeated(connection, events) or _STALE
        latest = self.roster.run_of(connection, events[0]).thread.seq + len(fresh)
        sequence = last_sequence(change.run_id, events)
        if self.records.move(connection, change, latest, sequence):
            return self._events.add_fresh(connection, events, fresh)
        self._events.forget(connection, fresh)
        return _STALE
