"""Writing runs' records: inserted, moved, erased."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from ...domain.enums import IN_FLIGHT
from ...domain.run import TRANSITIONS
from ...domain.views import RunSnapshot
from ..entries import RunChange
from .known import KnownRun, KnownThread
from .roster import Roster
from .statements import Statements
from .values import change_columns, completion_columns, run_columns


class RecordWriter:
    """Writes records; the events collected so far must be written before any is erased.

    Args:
        statements: for the connection's dialect.
        roster: knows the runs.

    """

    def __init__(self, statements: Statements, roster: Roster) -> None:
        self._statements = statements
        self._roster = roster

    def insert(self, connection: Connection, run: RunSnapshot, sequence: int = 0) -> bool:
        """Insert a record, unless its id, or its key on its thread, is taken.

        Args:
            connection: in whose transaction.
            run: the record.
            sequence: the place of its last lifecycle event.

        """
        thread = self._roster.thread(connection, run.thread_id)
        placed, columns = thread.place_of_next_run(sequence), run_columns(run)
        number = self._statements.insert_run.run(connection, **columns, **placed).scalar()
        live = not run.status.is_terminal
        if number is not None:
            first = thread.seq + 1
            known = KnownRun(number, run.thread_id, thread, first, sequence, live=live)
            self._roster.known.note_run(run.run_id, known)
        elif not self._record(connection, thread, columns):
            return False
        if not thread.owned:
            thread.owned = True
            self._statements.own_thread.run(
                connection, thread=thread.number, own=1, user=run.user_id
            )
        return True

    def _record(self, connection: Connection, thread: KnownThread, columns: dict[str, Any]) -> bool:
        """Give a run its record that was known by its events alone."""
        run_id = columns["run_id"]
        new = {f"new_{name}": value for name, value in columns.items() if name != "run_id"}
        found = self._statements.record_stub.run(
            connection, run_id=run_id, thread=thread.number, **new
        )
        if found.first() is None:
            return False
        self._roster.known.runs.pop(run_id, None)  # it is live now
        return True

    def move(
        self,
        connection: Connection,
        change: RunChange,
        latest: int | None = None,
        sequence: int | None = None,
    ) -> bool:
        """Compare-and-set a record's status.

        Args:
            connection: in whose transaction.
            change: what to write, and the status expected.
            latest: the `seq` of the run's last event, if that changes.
            sequence: the place of its last lifecycle event, if that changes.

        """
        expected, target = change.expected, change.target
        if target is not expected and target not in TRANSITIONS[expected]:
            return False
        if latest is None and target.is_terminal:
            run = self._roster.find_run(connection, change.run_id)
            latest = None if run is None else run.thread.seq
        columns = change_columns(change)
        columns["latest"], columns["sequence"] = latest, sequence
        statement = self._statements.change
        if change.completion is not None:
            columns |= completion_columns(change.completion)
            statement = (
                self._statements.complete
                if change.completion.usage is None
                else self._statements.complete_with_usage
            )
        if statement.run(connection, **columns).rowcount != 1:
            return False
        known = self._roster.known.runs.get(change.run_id)
        if known is not None:
            known.live = not target.is_terminal
            known.last_sequence = max(known.last_sequence, sequence or 0)
        return True

    # Erasing.

    def erase_run(self, connection: Connection, run_id: str, *, record: bool = True) -> int:
        """Delete a run's events, and its record unless that is to stay.

        Returns:
            how many events there were.

        """
        statements = self._statements
        run = statements.find_run.run(connection, run_id=run_id).first()
        if run is None:
            return 0
        thread = self._roster.thread(connection, run.thread_id)
        statements.keep_position.run(connection)
        statements.raise_thread_floor.run(connection, thread=thread.number, floor=thread.seq)
        live = run.status in IN_FLIGHT
        deleted: int = statements.delete_run_events.run(
            connection,
            thread=thread.number,
            first=run.first_seq,
            last=thread.seq if live else run.last_seq,
            run=run.run_no,
        ).rowcount
        self._roster.known.runs.pop(run_id, None)
        if record:
            statements.delete_run.run(connection, run=run.run_no)
            if self._is_bare(connection, thread):
                thread.owned = False
                statements.own_thread.run(connection, thread=thread.number, own=0, user=None)
        return deleted

    def _is_bare(self, connection: Connection, thread: KnownThread) -> bool:
        """Whether nothing is kept of a thread: whoever comes next may have it."""
        statements, number = self._statements, thread.number
        return (
            statements.some_run.run(connection, thread=number).first() is None
            and statements.saved.run(connection, thread=number).first() is None
            and statements.recorded_thread.run(connection, thread=number).first() is None
        )

    def erase_events(self, connection: Connection, thread_id: str) -> int:
        """Delete a thread's events. Returns how many there were."""
        thread = self._roster.find_thread(connection, thread_id)
        if thread is None:
            return 0
        number = thread.number
        self._statements.keep_position.run(connection)
        self._statements.raise_thread_floor.run(connection, thread=number, floor=thread.seq)
        deleted: int = self._statements.delete_thread_events.run(connection, thread=number).rowcount
        self._roster.known.forget_thread(thread_id)
        return deleted

    def has_record(self, connection: Connection, thread_id: str) -> bool:
        """Whether a thread has a record of its own."""
        thread = self._roster.find_thread(connection, thread_id)
        if thread is None:
            return False
        found = self._statements.recorded_thread.run(connection, thread=thread.number)
        return found.first() is not None

    def erase_thread(self, connection: Connection, thread_id: str) -> None:
        """Delete everything recorded on a thread."""
        thread = self._roster.find_thread(connection, thread_id)
        if thread is None:
            return
        statements, number = self._statements, thread.number
        statements.keep_position.run(connection)
        statements.raise_floor.run(connection, floor=thread.seq)
        statements.drop_all.run(connection, thread=number)
        statements.delete_thread_events.run(connection, thread=number)
        statements.delete_runs.run(connection, thread=number)
        statements.forget_record.run(connection, thread=number)
        statements.delete_thread.run(connection, thread=number)
        self._roster.known.forget_thread(thread_id)
