"""The event log in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from operator import itemgetter

from ...domain.commands import check_many, choice, choices
from ...domain.enums import EventCategory
from ...domain.errors import InvalidValue
from ...domain.views import StoredRunEvent
from ..entries import NewEvent
from ..kept import Kept, as_stored
from .event_table import EventTable, frame_number
from .run_table import RunTable

_by_seq = itemgetter(1)


class MemoryEventLog:
    """The port `EventLog` on the tables in memory.

    Args:
        events: what it reads and writes.
        runs: says who may see what.

    """

    def __init__(self, events: EventTable, runs: RunTable) -> None:
        self._events = events
        self._runs = runs
        self._cursors: dict[str, int] = {}

    async def append(self, events: Sequence[NewEvent]) -> list[StoredRunEvent]:
        """Append events of one thread: all or none."""
        fault = self._events.fault(events) if events else None
        if fault is not None:
            raise InvalidValue("events", fault, "append events of one thread at a time")
        return [as_stored(kept) for kept in self._events.append(events)]

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
        thread = self._events.thread(thread_id)
        if thread is None or not self._runs.may_see_thread(thread_id, user_id):
            return []
        if run_id is not None:
            return await self.list_messages_by_run(
                run_id if run_id in thread.runs else "",
                limit=limit,
                before_seq=before_seq,
                after_seq=after_seq,
                user_id=user_id,
            )
        if after_seq is None:
            newest_first = self._seen(thread.messages.before(before_seq), user_id)
            return _page(newest_first, limit)[::-1]
        page = self._seen(thread.messages.after(after_seq), user_id)
        if before_seq is not None:
            page = takewhile(lambda kept: kept[1] < before_seq, page)
        return _page(page, limit)

    def _seen(self, events: Iterator[Kept], user_id: str | None) -> Iterator[Kept]:
        if user_id is None:
            return events
        return (kept for kept in events if self._runs.may_see(kept[2].run_id, user_id))

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
        run = self._events.run(run_id)
        if run is None or not self._runs.may_see(run_id, user_id):
            return []
        messages, end = run.messages, len(run.messages)
        if before_seq is not None:
            end = bisect_left(messages, before_seq, key=_by_seq)
        if after_seq is None:
            return _page(messages[max(0, end - limit) : end], limit)
        start = bisect_right(messages, after_seq, key=_by_seq)
        return _page(messages[start : min(end, start + limit)], limit)

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
        run = self._events.run(run_id)
        if run is None or not self._runs.may_see(run_id, user_id):
            return []
        start = 0 if after_seq is None else bisect_right(run.all, after_seq, key=_by_seq)
        chosen = (
            run.all[index]
            for index in range(start, len(run.all))
            if (wanted is None or run.all[index][2].event_type in wanted)
            and (shelves is None or run.all[index][2].category in shelves)
        )
        return _page(chosen, limit)

    async def list_frames(
        self, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[StoredRunEvent]:
        """A resumable run's frames, by their own number, ascending."""
        run = self._events.run(run_id)
        if run is None:
            return []
        start = bisect_right(run.frames, after, key=frame_number)
        return _page(run.frames[start : start + limit], limit)

    async def read(
        self, *, after: int = 0, limit: int = 500, category: EventCategory | None = None
    ) -> list[StoredRunEvent]:
        """The whole log in the order of `position`."""
        shelf = None if category is None else choice(EventCategory, category, "category")
        return _page(self._events.log(after, shelf), limit)

    async def head(self) -> int:
        """The last `position` that was given; 0 for a new log."""
        return self._events.position

    async def load_cursor(self, name: str) -> int | None:
        """How far the observer of that name has been told, or `None`."""
        return self._cursors.get(name)

    async def save_cursor(self, name: str, position: int) -> None:
        """Remember how far an observer has been told."""
        self._cursors[name] = position

    async def delete_by_run(self, run_id: str) -> int:
        """Delete a run's events. Returns how many there were."""
        return self._events.delete_run(run_id)

    async def delete_by_thread(self, thread_id: str) -> int:
        """Delete a thread's events. Returns how many there were."""
        return self._events.delete_thread(thread_id)


def _page(events: Iterable[Kept], limit: int) -> list[StoredRunEvent]:
    return [as_stored(kept) for kept in islice(events, limit)]
