"""Writing events: each once, numbered in their thread and in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from ...domain.enums import EventCategory
from ...domain.views import StoredRunEvent
from ..entries import NewEvent, Outcome, Verdict
from .known import KnownRun
from .roster import Roster, Unstorable
from .statements import Statements
from .values import encode, event_key, micros, moment, packed, stored


class EventWriter:
    """Collects the events of a transaction, and writes them with few statements.

    Args:
        statements: for the connection's dialect.
        roster: knows their runs.

    """

    def __init__(self, statements: Statements, roster: Roster) -> None:
        self._statements = statements
        self._roster = roster
        self._rows: list[tuple[Any, ...]] = []
        self.position = 0
        """The last one given."""

    def begin(self, position: int) -> None:
        """Begin a transaction: the next event gets the place behind `position`."""
        self.position = position
        self._rows.clear()

    def flush(self, connection: Connection) -> None:
        """Write what was collected."""
        self._statements.insert_events(connection, self._rows)
        self._rows.clear()

    def add(self, connection: Connection, events: Sequence[NewEvent]) -> Outcome:
        """Store events of one thread. Those that are stored already change nothing.

        Raises:
            Unstorable: they are of several threads, or a run is on another one.

        """
        fresh = self.fresh(connection, events)
        outcome = self.add_fresh(connection, events, fresh)
        self._note_late(connection, fresh)
        return outcome

    def fresh(self, connection: Connection, events: Sequence[NewEvent]) -> list[NewEvent]:
        """Those that are not stored yet, each once."""
        _check(events)
        fresh: dict[str, NewEvent] = {}
        for event in events:
            if self._roster.is_new(connection, event) or (
                event.event_id not in fresh and self._find(connection, event) is None
            ):
                fresh[event.event_id] = event
        return list(fresh.values())

    def forget(self, connection: Connection, fresh: Sequence[NewEvent]) -> None:
        """These are not stored after all: look again, when it is asked for."""
        if fresh:
            self.flush(connection)
        for event in fresh:
            self._roster.known.runs.pop(event.run_id, None)

    def add_fresh(
        self, connection: Connection, events: Sequence[NewEvent], fresh: Sequence[NewEvent]
    ) -> Outcome:
        """Store the fresh ones of these events."""
        added = [self._append(event) for event in fresh]
        if len(added) == len(events):
            return _applied(added)
        by_id = {event.event_id: event for event in added}
        found = [by_id.get(event.event_id) or self._find(connection, event) for event in events]
        return _applied([event for event in found if event is not None])

    def repeated(self, connection: Connection, events: Sequence[NewEvent]) -> Outcome | None:
        """These very events as stored before; `None` if one reads otherwise."""
        found = [self._find(connection, event) for event in events]
        same = all(
            old is not None and old == stored(new, old.position, old.seq)
            for old, new in zip(found, events, strict=True)
        )
        return _applied([event for event in found if event is not None]) if same else None

    def _append(self, event: NewEvent) -> StoredRunEvent:
        run = self._roster.known.runs[event.run_id]
        seq, position = run.thread.seq + 1, self.position + 1
        self._rows.append(_row(event, position, seq, run))
        run.thread.seq, self.position = seq, position
        return stored(event, position, seq)

    def _note_late(self, connection: Connection, events: Sequence[NewEvent]) -> None:
        """Keep up the bounds of runs, as far as they are not kept up with their records."""
        for run_id in {event.run_id for event in events}:
            run = self._roster.known.runs[run_id]
            sequence = last_sequence(run_id, events) or 0
            if not run.live or sequence > run.last_sequence:
                run.last_sequence = max(run.last_sequence, sequence)
                self._statements.note_events.run(
                    connection, run=run_id, latest=run.thread.seq, sequence=run.last_sequence
                )

    def _find(self, connection: Connection, event: NewEvent) -> StoredRunEvent | None:
        """The event of that id as it is stored, or about to be."""
        run, key = self._roster.run_of(connection, event), event_key(event)
        if any(row[3] == run.number and row[6] == key for row in self._rows):
            self.flush(connection)
        found = connection.execute(self._statements.find_event, {**run.place(), "key": key})
        row = found.one_or_none()
        return None if row is None else _as_stored(row, event)


def last_sequence(run_id: str, events: Sequence[NewEvent]) -> int | None:
    """The place of a run's last lifecycle event among these."""
    return max(
        (
            event.sequence or 0
            for event in events
            if event.category is EventCategory.LIFECYCLE and event.run_id == run_id
        ),
        default=None,
    )


def _check(events: Sequence[NewEvent]) -> None:
    for event in events[1:]:
        first = events[0].thread_id
        if event.thread_id != first:
            raise Unstorable(f"events of threads '{first}' and '{event.thread_id}'")


def _row(event: NewEvent, position: int, seq: int, run: KnownRun) -> tuple[Any, ...]:
    """In the order of the columns."""
    return (
        position,
        run.thread.number,
        seq,
        run.number,
        event.category.value,
        event.event_type,
        event_key(event),
        packed(event.content),
        encode(event.metadata) if event.metadata else None,
        micros(event.created_at),
        event.sequence,
    )


def _as_stored(row: Row[Any], event: NewEvent) -> StoredRunEvent:
    """An event as it was found under its id."""
    return StoredRunEvent(
        position=row.position,
        seq=row.seq,
        event_id=event.event_id,
        thread_id=event.thread_id,
        run_id=event.run_id,
        category=EventCategory(row.category),
        event_type=row.event_type,
        content=row.content,
        created_at=moment(row.created_at),
        sequence=row.sequence,
        metadata=row.metadata or {},
    )


def _applied(events: Sequence[StoredRunEvent]) -> Outcome:
    return Outcome(Verdict.APPLIED, events, events[-1].position if events else 0)
