"""The event log in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Connection, Select, Text, and_, bindparam, or_, select

from ...domain.commands import check_many, choice, choices
from ...domain.enums import IN_FLIGHT, EventCategory
from ...domain.views import StoredRunEvent
from ..entries import NewEvent
from .prepared import Query
from .reading import Reader
from .schema import FRAME, MESSAGE, cursors, events, runs, state, threads
from .statements import last_position
from .values import event_of
from .writer import Writer

if TYPE_CHECKING:
    from .runs import Write

_FIRST, _BEYOND = -1, 2**62
"""Below and above every `seq`."""


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
        self._prepare(lambda statement: Query(statement, reader.dialect))

    def _prepare(self, query: Callable[[Select[Any]], Query]) -> None:
        thread = select(threads.c.thread_no).where(threads.c.thread_id == bindparam("thread"))
        of_thread = _between(named_events()).where(
            MESSAGE, events.c.thread_no == thread.scalar_subquery()
        )
        of_run = _of_run(named_events())
        limit: Any = bindparam("limit")
        ahead, back = events.c.seq, events.c.seq.desc()
        self._thread_ahead = query(of_thread.order_by(ahead).limit(limit))
        self._thread_back = query(of_thread.order_by(back).limit(limit))
        self._run_ahead = query(of_run.where(MESSAGE).order_by(ahead).limit(limit))
        self._run_back = query(of_run.where(MESSAGE).order_by(back).limit(limit))
        self._events_of_run = query(of_run.order_by(ahead).limit(limit))
        self._frames = query(_numbered_frames().limit(limit))
        self._place = query(_place())
        log = named_events().where(events.c.position > bindparam("position"))
        log = log.order_by(events.c.position).limit(limit)
        self._log = query(log)
        self._log_of = query(log.where(events.c.category == bindparam("category")))
        self._head = query(select(state.c.position, last_position()))
        named = cursors.c.name == bindparam("name")
        self._cursor = query(select(cursors.c.position).where(named))

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
        bounds = _bounds(before_seq, after_seq, user_id, limit)
        if run_id is not None:
            return await self._messages_of_run(run_id, bounds, thread_id)
        if after_seq is not None:
            return await self._events(self._thread_ahead, thread=thread_id, **bounds)
        return (await self._events(self._thread_back, thread=thread_id, **bounds))[::-1]

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
        return await self._messages_of_run(run_id, _bounds(before_seq, after_seq, user_id, limit))

    async def _messages_of_run(
        self, run_id: str, bounds: dict[str, Any], thread_id: str | None = None
    ) -> list[StoredRunEvent]:
        run = await self._reader.first(self._place, run_id=run_id)
        if run is None or thread_id not in (None, run.thread_id):
            return []
        ahead = bounds["after"] > _FIRST
        within = _within(run, bounds)
        found = await self._events(self._run_ahead if ahead else self._run_back, **within)
        return found if ahead else found[::-1]

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
        wanted = None if types is None else frozenset(check_many(types, "types"))
        shelves = None if categories is None else choices(EventCategory, categories, "categories")
        run = await self._reader.first(self._place, run_id=run_id)
        if run is None:
            return []
        within = _within(run, _bounds(None, after_seq, user_id, limit))
        if wanted is None and shelves is None:
            return await self._events(self._events_of_run, **within)
        chosen = _of_run(named_events()).order_by(events.c.seq)
        if wanted is not None:
            chosen = chosen.where(events.c.event_type.in_(sorted(wanted)))
        if shelves is not None:
            chosen = chosen.where(events.c.category.in_(sorted(map(str, shelves))))
        rows = await self._reader.rows(chosen.limit(limit).params(within))
        return [event_of(row) for row in rows]

    async def list_frames(
        self, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[StoredRunEvent]:
        """A resumable run's stored frames, by their own number, ascending.

        Numbered without holes, as a runtime does it, the next frame cannot have a lower
        `seq` than the run's first and `after` together: the page is found without looking
        at those before it.
        """
        for skipped in (after, 0):
            found = await self._events(
                self._frames, run_id=run_id, number=after, skipped=skipped, limit=limit
            )
            if after == 0 or (found and found[0].sequence == after + 1):
                break
        return found

    # The whole log.

    async def read(
        self, *, after: int = 0, limit: int = 500, category: EventCategory | None = None
    ) -> list[StoredRunEvent]:
        """The whole log in the order of `position`."""
        if category is None:
            return await self._events(self._log, position=after, limit=limit)
        shelf = choice(EventCategory, category, "category")
        chosen = {"category": shelf.value, "position": after, "limit": limit}
        return await self._events(self._log_of, **chosen)

    async def head(self) -> int:
        """The last `position` that was given; 0 for a new log."""
        now = await self._reader.first(self._head)
        return 0 if now is None else max(now.position, now.latest or 0)

    async def _events(self, query: Query, **values: Any) -> list[StoredRunEvent]:
        return [event_of(row) for row in await self._reader.fetch(query, **values)]

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
        row = await self._reader.first(self._cursor, name=name)
        return None if row is None else row.position

    async def save_cursor(self, name: str, position: int) -> None:
        """Remember how far an observer has been told."""
        move = self._writer.statements.move_cursor

        def work(connection: Connection) -> None:
            move.run(connection, name=name, position=position)

        await self._write("a cursor", work)


def named_events() -> Select[Any]:
    """Events with the ids of their threads and runs."""
    return (
        select(events, threads.c.thread_id, runs.c.run_id)
        .join(threads, threads.c.thread_no == events.c.thread_no)
        .join(runs, runs.c.run_no == events.c.run_no)
    )


def _between(chosen: Select[Any]) -> Select[Any]:
    """Between two numbers, exclusive; of one user's runs, unless that is `NULL`."""
    user = bindparam("user", type_=Text())
    mine = and_(runs.c.user_id == user, runs.c.status.is_not(None))
    return chosen.where(
        events.c.seq < bindparam("before"),
        events.c.seq > bindparam("after"),
        or_(user.is_(None), mine),
    )


def _of_run(chosen: Select[Any]) -> Select[Any]:
    return _between(chosen).where(
        events.c.thread_no == bindparam("thread"), events.c.run_no == bindparam("run")
    )


def _numbered_frames() -> Select[Any]:
    return (
        named_events()
        .where(runs.c.run_id == bindparam("run_id"), events.c.thread_no == runs.c.thread_no)
        .where(events.c.seq >= runs.c.first_seq + bindparam("skipped", type_=BigInteger()))
        .where(FRAME, events.c.sequence > bindparam("number"))
        .order_by(events.c.sequence)
    )


def _place() -> Select[Any]:
    """Where a run's events are."""
    columns = (runs.c.run_no, runs.c.thread_no, runs.c.first_seq, runs.c.last_seq, runs.c.status)
    place = select(*columns, threads.c.thread_id).join(threads)
    return place.where(runs.c.run_id == bindparam("run_id"))


def _bounds(
    before_seq: int | None, after_seq: int | None, user_id: str | None, limit: int
) -> dict[str, Any]:
    return {
        "before": _BEYOND if before_seq is None else before_seq,
        "after": _FIRST if after_seq is None else after_seq,
        "user": user_id,
        "limit": limit,
    }


def _within(run: Any, bounds: dict[str, Any]) -> dict[str, Any]:
    """These bounds, narrowed to where the run's events lie."""
    live = run.status in IN_FLIGHT
    last = bounds["before"] if live else min(bounds["before"], run.last_seq + 1)
    return {
        **bounds,
        "thread": run.thread_no,
        "run": run.run_no,
        "before": last,
        "after": max(bounds["after"], run.first_seq - 1),
    }
