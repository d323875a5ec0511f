"""Threads and runs by their numbers: found, loaded, or added."""

from __future__ import annotations

from sqlalchemy import Connection

from ...domain.enums import IN_FLIGHT
from ..entries import NewEvent
from .known import Known, KnownRun, KnownThread
from .statements import Statements
from .values import event_id


class Unstorable(Exception):
    """An entry cannot be stored; says why. Its transaction is of no use any more."""


class Roster:
    """Knows the threads and runs that are written, asking the database for the others.

    Args:
        statements: for the connection's dialect.

    """

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self.known = Known()

    def thread(self, connection: Connection, thread_id: str) -> KnownThread:
        """A thread; it gets a number if it has none."""
        thread = self.find_thread(connection, thread_id)
        if thread is not None:
            return thread
        added = self._statements.add_thread.run(connection, thread_id=thread_id).one()
        thread = KnownThread(added.thread_no, added.seq_floor, owned=False)
        return self.known.note_thread(thread_id, thread)

    def find_thread(self, connection: Connection, thread_id: str) -> KnownThread | None:
        """A thread, or `None`."""
        known = self.known.threads.get(thread_id)
        if known is not None:
            return known
        row = self._statements.find_thread.run(connection, thread_id=thread_id).first()
        if row is None:
            return None
        seq = max(row.seq_floor, row.latest or 0)
        found = KnownThread(row.thread_no, seq, owned=bool(row.owned))
        return self.known.note_thread(thread_id, found)

    def run_of(self, connection: Connection, event: NewEvent) -> KnownRun:
        """The run of an event; one that has no record gets a number.

        Raises:
            Unstorable: it is on another thread.

        """
        run_id, thread_id = event.run_id, event.thread_id
        run = self.find_run(connection, run_id) or self._add(connection, run_id, thread_id)
        if run.thread_id != thread_id:
            raise Unstorable(f"run '{run_id}' is on thread '{run.thread_id}'")
        return run

    def find_run(self, connection: Connection, run_id: str) -> KnownRun | None:
        """A run, with or without a record, or `None`."""
        return self.known.runs.get(run_id) or self.load_run(connection, run_id)

    def load_run(self, connection: Connection, run_id: str) -> KnownRun | None:
        """A run as it is stored."""
        row = self._statements.find_run.run(connection, run_id=run_id).first()
        if row is None:
            return None
        run = KnownRun(
            number=row.run_no,
            thread_id=row.thread_id,
            thread=self.thread(connection, row.thread_id),
            first_seq=row.first_seq,
            last_sequence=row.last_sequence,
            live=row.status in IN_FLIGHT,
            marks={f"{run_id}/": row.last_sequence},
            all_marks=False,
        )
        return self.known.note_run(run_id, run)

    def is_new(self, connection: Connection, event: NewEvent) -> bool:
        """Note an event. Returns whether it is certainly not stored yet.

        Raises:
            Unstorable: its run is on another thread.

        """
        run = self.run_of(connection, event)
        if not run.knows(event.event_id):
            run.all_marks = True
            for (key,) in self._statements.event_keys.run(connection, **run.place()):
                run.is_new(event_id(key, event.run_id))
        return run.is_new(event.event_id)

    def _add(self, connection: Connection, run_id: str, thread_id: str) -> KnownRun:
        thread = self.thread(connection, thread_id)
        number: int = self._statements.add_stub.run(
            connection, run_id=run_id, **thread.place_of_next_run(0)
        ).scalar()
        first = thread.seq + 1
        run = KnownRun(number, thread_id, thread, first, last_sequence=0, live=False)
        return self.known.note_run(run_id, run)
