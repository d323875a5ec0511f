"""Writing events: each once, numbered in their thread and in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from ...domain.enums import EventCategory
from ..entries import NewEvent, Outcome
from ..kept import Kept, applied
from .known import KnownRun
from .roster import Roster, Unstorable
from .statements import Statements
from .values import encode, event_key, micros, moment, packed


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
        self.first: NewEvent | None = None
        """The first event of the transaction."""

    def begin(self, position: int) -> None:
        """Begin a transaction: the next event gets the place behind `position`."""
        self.position = position
        self.first = None
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
        for event in fresh:
            self._note_late(connection, event)
        return outcome

    def fresh(self, connection: Connection, events: Sequence[NewEvent]) -> Sequence[NewEvent]:
        """Those that are not stored yet, each once."""
        if len(events) == 1:
            event = events[0]
            is_new = self._roster.is_new(connection, event)
            return events if is_new or self._find(connection, event) is None else ()
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
            return applied(added)
        by_id = {kept[2].event_id: kept for kept in added}
        found = [by_id.get(event.event_id) or self._find(connection, event) for event in events]
        return applied([kept for kept in found if kept is not None])

    def repeated(self, connection: Connection, events: Sequence[NewEvent]) -> Outcome | None:
        """These very events as stored before; `None` if one reads otherwise."""
        found = [self._find(connection, event) for event in events]
        same = all(
            kept is not None and kept[2] == event._replace(metadata=event.metadata or None)
            for kept, event in zip(found, events, strict=True)
        )
        return applied([kept for kept in found if kept is not None]) if same else None

    def _append(self, event: NewEvent) -> Kept:
        run = self._roster.known.runs[event.run_id]
        self.first = self.first or event
        thread = run.thread
        thread.seq = seq = thread.seq + 1
        self.position = position = self.position + 1
        self._rows.append(_row(event, position, seq, run))
        return position, seq, event

    def _note_late(self, connection: Connection, event: NewEvent) -> None:
        """Keep up the bounds of its run, as far as they are not kept up with its record."""
        run = self._roster.known.runs[event.run_id]
        if not run.live or event.category is EventCategory.LIFECYCLE:
            run.last_sequence = max(run.last_sequence, last_sequence(event.run_id, (event,)) or 0)
            self._statements.note_events.run(
                connection, run=event.run_id, latest=run.thread.seq, sequence=run.last_sequence
            )

    def _find(self, connection: Connection, event: NewEvent) -> Kept | None:
        """The event of that id as it is stored, or about to be."""
        run, key = self._roster.run_of(connection, event), event_key(event)
        if any(row[3] == run.number and row[6] == key for row in self._rows):
            self.flush(connection)
        found = connection.execute(self._statements.find_event, {**run.place(), "key": key})
        row = found.first()
        return None if row is None else _as_kept(row, event)


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


def _as_kept(row: Row[Any], event: NewEvent) -> Kept:
    """An event as it was found under its id."""
    found = event._replace(
        category=EventCategory(row.category),
        event_type=row.event_type,
        content=row.content,
        created_at=moment(row.created_at),
        sequence=row.sequence,
        metadata=row.metadata,
    )
    return row.position, row.seq, found
