"""The event log in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, select

from ...domain.enums import EventCategory
from ...domain.views import StoredRunEvent
from ..entries import NewEvent
from .reading import Reader
from .schema import cursors, events, runs, state, threads
from .values import event_of
from .writer import Writer

if TYPE_CHECKING:
    from .runs import Write

_MESSAGE = events.c.category == EventCategory.MESSAGE.value
_FRAME = events.c.category == EventCategory.FRAME.value


class SqlEventLog:
    """The port `EventLog` on the database.

    Args:
        reader: answers queries.
        writer: writes.
        write: does it in a transaction.

    """

    def __init__(self, reader: Reader, writer: Writer, write: Write) -> None:
        self._reader = reader
        self._writer = writer
        self._write = write

    async def append(self, events: Sequence[NewEvent]) -> list[StoredRunEvent]:
        """Append events of one thread: all or none."""
        if not events:
            return []
        return await self._write("events", lambda c: self._writer.append(c, events))

    # Messages.

    async def list_messages(
        self,
        thread_id: str,
        *,
        run_id: str | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """A page of a thread's messages, ascending; the newest page without bounds."""
        thread = select(threads.c.thread_no).where(threads.c.thread_id == thread_id)
        chosen = _all(user_id).where(_MESSAGE, events.c.thread_no == thread.scalar_subquery())
        if run_id is not None:
            chosen = await self._within(chosen, run_id)
        return await self._page(chosen, limit, before_seq, after_seq)

    async def list_messages_by_run(
        self,
        run_id: str,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """The same for one run."""
        chosen = await self._within(_all(user_id).where(_MESSAGE), run_id)
        return await self._page(chosen, limit, before_seq, after_seq)

    async def _page(
        self, chosen: Select[Any], limit: int, before_seq: int | None, after_seq: int | None
    ) -> list[StoredRunEvent]:
        if before_seq is not None:
            chosen = chosen.where(events.c.seq < before_seq)
        if after_seq is not None:
            chosen = chosen.where(events.c.seq > after_seq)
            return await self._events(chosen.order_by(events.c.seq).limit(limit))
        return (await self._events(chosen.order_by(events.c.seq.desc()).limit(limit)))[::-1]

    # Runs.

    async def list_events_by_run(
        self,
        run_id: str,
        *,
        limit: int = 500,
        after_seq: int | None = None,
        types: Iterable[str] | None = None,
        categories: Iterable[EventCategory] | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """A run's events, ascending."""
        chosen = await self._within(_all(user_id), run_id)
        if after_seq is not None:
            chosen = chosen.where(events.c.seq > after_seq)
        if types is not None:
            chosen = chosen.where(events.c.event_type.in_(sorted(set(types))))
        if categories is not None:
            wanted = sorted({category.value for category in categories})
            chosen = chosen.where(events.c.category.in_(wanted))
        return await self._events(chosen.order_by(events.c.seq).limit(limit))

    async def _within(self, chosen: Select[Any], run_id: str) -> Select[Any]:
        """Only a run's events, which lie between two numbers of its thread's."""
        run = await self._reader.one(
            select(
                runs.c.run_no, runs.c.thread_no, runs.c.first_seq, runs.c.last_seq, runs.c.status
            ).where(runs.c.run_id == run_id)
        )
        if run is None:
            return chosen.where(events.c.position < 0)
        within = chosen.where(
            events.c.thread_no == run.thread_no,
            events.c.run_no == run.run_no,
            events.c.seq >= run.first_seq,
        )
        live = run.status in ("pending", "running")
        return within if live else within.where(events.c.seq <= run.last_seq)

    async def list_frames(
        self, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[StoredRunEvent]:
        """A resumable run's stored frames, by their own number, ascending."""
        run = select(runs.c.run_no).where(runs.c.run_id == run_id).scalar_subquery()
        chosen = _all(None).where(_FRAME, events.c.run_no == run, events.c.sequence > after)
        return await self._events(chosen.order_by(events.c.sequence).limit(limit))

    # The whole log.

    async def read(
        self, *, after: int = 0, limit: int = 500, category: EventCategory | None = None
    ) -> list[StoredRunEvent]:
        """The whole log in the order of `position`."""
        chosen = _all(None).where(events.c.position > after)
        if category is not None:
            chosen = chosen.where(events.c.category == category.value)
        return await self._events(chosen.order_by(events.c.position).limit(limit))

    async def head(self) -> int:
        """The last `position` that was given; 0 for a new log."""
        row = await self._reader.one(select(state.c.position))
        return 0 if row is None else row.position

    async def _events(self, statement: Select[Any]) -> list[StoredRunEvent]:
        return [event_of(row) for row in await self._reader.rows(statement)]

    # Deleting.

    async def delete_by_run(self, run_id: str) -> int:
        """Delete a run's events. Returns how many there were."""

        def work(connection: Connection) -> int:
            return self._writer.records.erase_run(connection, run_id, record=False)

        return await self._write("a deletion", work)

    async def delete_by_thread(self, thread_id: str) -> int:
        """Delete a thread's events. Returns how many there were."""

        def work(connection: Connection) -> int:
            return self._writer.records.erase_events(connection, thread_id)

        return await self._write("a deletion", work)

    # Cursors.

    async def load_cursor(self, name: str) -> int | None:
        """How far the observer of that name has been told, or `None`."""
        row = await self._reader.one(select(cursors.c.position).where(cursors.c.name == name))
        return None if row is None else row.position

    async def save_cursor(self, name: str, position: int) -> None:
        """Remember how far an observer has been told."""
        move = self._writer.statements.move_cursor

        def work(connection: Connection) -> None:
            move.run(connection, name=name, position=position)

        await self._write("a cursor", work)


def _all(user_id: str | None) -> Select[Any]:
    """Events with the ids of their threads and runs; of one user, if one is given."""
    named = (
        select(events, threads.c.thread_id, runs.c.run_id)
        .join(threads, threads.c.thread_no == events.c.thread_no)
        .join(runs, runs.c.run_no == events.c.run_no)
    )
    if user_id is None:
        return named
    return named.where(runs.c.user_id == user_id, runs.c.status.is_not(None))
