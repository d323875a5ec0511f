"""The event log in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from ...domain.enums import EventCategory
from ...domain.errors import InvalidValue
from ...domain.views import StoredRunEvent
from ..ports import NewEvent

Visible = Callable[[str, str | None], bool]
"""Says whether a user may see a run."""


class _Shelf:
    """Events in the order of their `seq`: everything, and the messages alone."""

    __slots__ = ("all", "messages")

    def __init__(self) -> None:
        self.all: list[StoredRunEvent] = []
        self.messages: list[StoredRunEvent] = []

    def add(self, event: StoredRunEvent) -> None:
        self.all.append(event)
        if event.category is EventCategory.MESSAGE:
            self.messages.append(event)


class MemoryEventLog:
    """Keeps events in lists, by thread, by run and by position.

    Args:
        visible: says whether a user may see a run.

    """

    def __init__(self, visible: Visible) -> None:
        self._visible = visible
        self._log: list[StoredRunEvent | None] = []
        """By position; `None` where an event was deleted."""
        self._ids: dict[str, StoredRunEvent] = {}
        self._threads: dict[str, _Shelf] = {}
        self._runs: dict[str, _Shelf] = {}
        self._frames: dict[str, list[StoredRunEvent]] = {}
        self._seqs: dict[str, int] = {}
        """The last `seq` of each thread, kept when its events are deleted."""

    # Writing.

    async def append(self, events: Sequence[NewEvent]) -> list[StoredRunEvent]:
        """Append events of one thread: all or none."""
        threads = {event.thread_id for event in events}
        if len(threads) > 1:
            raise InvalidValue("events", sorted(threads), "append events of one thread at a time")
        return self.store(events)

    def store(self, events: Iterable[NewEvent]) -> list[StoredRunEvent]:
        """Append, without asking. An event id that is there already changes nothing."""
        return [self._ids.get(event.event_id) or self._store(event) for event in events]

    def _store(self, event: NewEvent) -> StoredRunEvent:
        thread_id, run_id = event.thread_id, event.run_id
        seq = self._seqs.get(thread_id, 0) + 1
        self._seqs[thread_id] = seq
        stored = StoredRunEvent(
            position=len(self._log) + 1,
            seq=seq,
            event_id=event.event_id,
            thread_id=thread_id,
            run_id=run_id,
            category=event.category,
            event_type=event.event_type,
            content=event.content,
            created_at=event.created_at,
            sequence=event.sequence,
            metadata=event.metadata or {},
        )
        self._log.append(stored)
        self._ids[event.event_id] = stored
        for shelves, key in ((self._threads, thread_id), (self._runs, run_id)):
            shelf = shelves.get(key)
            if shelf is None:
                shelf = shelves[key] = _Shelf()
            shelf.add(stored)
        if event.category is EventCategory.FRAME:
            self._frames.setdefault(run_id, []).append(stored)
        return stored

    # Reading.

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
        shelf = self._threads.get(thread_id) if run_id is None else self._runs.get(run_id)
        messages = shelf.messages if shelf else []
        if run_id is not None and messages and messages[0].thread_id != thread_id:
            return []
        return self._page(messages, limit, before_seq, after_seq, user_id)

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
        shelf = self._runs.get(run_id)
        return self._page(shelf.messages if shelf else [], limit, before_seq, after_seq, user_id)

    def _page(
        self,
        messages: list[StoredRunEvent],
        limit: int,
        before_seq: int | None,
        after_seq: int | None,
        user_id: str | None,
    ) -> list[StoredRunEvent]:
        if user_id is not None:
            messages = [event for event in messages if self._visible(event.run_id, user_id)]
        if after_seq is not None:
            start = bisect_right(messages, after_seq, key=_seq)
            return messages[start : start + limit]
        end = len(messages)
        if before_seq is not None:
            end = bisect_right(messages, before_seq - 1, key=_seq)
        return messages[max(0, end - limit) : end]

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
        shelf = self._runs.get(run_id)
        if shelf is None or not self._visible(run_id, user_id):
            return []
        start = 0 if after_seq is None else bisect_right(shelf.all, after_seq, key=_seq)
        wanted = None if types is None else frozenset(types)
        shelves = None if categories is None else frozenset(categories)
        page: list[StoredRunEvent] = []
        for event in shelf.all[start:]:
            if len(page) >= limit:
                break
            if (wanted is None or event.event_type in wanted) and (
                shelves is None or event.category in shelves
            ):
                page.append(event)
        return page

    async def list_frames(
        self, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[StoredRunEvent]:
        """A resumable run's frames, by their own number, ascending."""
        frames = self._frames.get(run_id, [])
        start = bisect_right(frames, after, key=lambda event: event.sequence or 0)
        return frames[start : start + limit]

    async def read(
        self, *, after: int = 0, limit: int = 500, category: EventCategory | None = None
    ) -> list[StoredRunEvent]:
        """The whole log in the order of `position`."""
        page: list[StoredRunEvent] = []
        for index in range(after, len(self._log)):
            event = self._log[index]
            if event is not None and category in (None, event.category):
                page.append(event)
                if len(page) >= limit:
                    break
        return page

    async def head(self) -> int:
        """The last `position` there is; 0 for an empty log."""
        return len(self._log)

    # Deleting.

    async def delete_by_run(self, run_id: str) -> int:
        """Delete a run's events. Returns how many there were."""
        shelf = self._runs.pop(run_id, None)
        if shelf is None:
            return 0
        self._frames.pop(run_id, None)
        for event in shelf.all:
            self._forget(event)
        for thread_id in {event.thread_id for event in shelf.all}:
            self._rebuild(thread_id)
        return len(shelf.all)

    async def delete_by_thread(self, thread_id: str) -> int:
        """Delete a thread's events. Its `seq` goes on where it was. Returns how many."""
        return self._delete_thread(thread_id)

    def erase(self, thread_id: str) -> None:
        """Delete a thread's events, and that it ever was."""
        self._delete_thread(thread_id)
        self._seqs.pop(thread_id, None)

    def _delete_thread(self, thread_id: str) -> int:
        shelf = self._threads.pop(thread_id, None)
        if shelf is None:
            return 0
        for event in shelf.all:
            self._forget(event)
            self._runs.pop(event.run_id, None)
            self._frames.pop(event.run_id, None)
        return len(shelf.all)

    def _forget(self, event: StoredRunEvent) -> None:
        self._log[event.position - 1] = None
        self._ids.pop(event.event_id, None)

    def _rebuild(self, thread_id: str) -> None:
        old = self._threads.pop(thread_id)
        kept = [event for event in old.all if event.event_id in self._ids]
        if kept:
            shelf = self._threads[thread_id] = _Shelf()
            for event in kept:
                shelf.add(event)


def _seq(event: StoredRunEvent) -> int:
    return event.seq
