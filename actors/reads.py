"""What a runtime answers from its store."""

from __future__ import annotations

from collections.abc import Collection

from ..domain.commands import check_count, check_flag, choices
from ..domain.enums import EventCategory, ThreadStatus
from ..domain.errors import ThreadNotFound
from ..domain.identifiers import RunId, ThreadId, user
from ..domain.queries import GetRunQuery, ListRunMessagesQuery, ListRunsQuery, check_page
from ..domain.views import RunMessageView, RunSnapshot, StoredRunEvent, ThreadTokens
from .house import House
from .messages import ThreadStatusQuery
from .settlement import status_after


class Reads:
    """The reading half of `Runtime`.

    With `user_id`, what belongs to others does not exist; `None` is single-user mode.
    """

    def _open_house(self) -> House:
        raise NotImplementedError

    async def get_run(
        self, run_id: str, thread_id: str | None = None, user_id: str | None = None
    ) -> RunSnapshot | None:
        """A run as it is recorded; `None` if there is none, or not on that thread."""
        query = GetRunQuery(
            run_id=RunId(run_id),
            thread_id=None if thread_id is None else ThreadId(thread_id),
            user_id=user(user_id),
        )
        runs = self._open_house().wiring.store.runs
        run = await runs.get(query.run_id, user_id=query.user_id)
        if run is None or query.thread_id not in (None, run.thread_id):
            return None
        return run

    async def list_runs(
        self,
        thread_id: str,
        user_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
        status: str | None = None,
    ) -> list[RunSnapshot]:
        """The runs of a thread, newest first.

        Raises:
            InvalidValue: limit, offset or status cannot be used.

        """
        query = ListRunsQuery(
            thread_id=ThreadId(thread_id),
            user_id=user(user_id),
            limit=limit,
            offset=offset,
            status=status,  # type: ignore[arg-type] # the query reads it
        )
        return await self._open_house().wiring.store.runs.list_by_thread(
            query.thread_id,
            user_id=query.user_id,
            limit=query.limit,
            offset=query.offset,
            status=query.status,
        )

    async def list_in_flight(self, user_id: str | None = None) -> list[RunSnapshot]:
        """All runs that are pending or running, oldest first, on all threads of the store."""
        return await self._open_house().wiring.store.runs.list_inflight(user_id=user(user_id))

    async def list_messages(
        self,
        thread_id: str,
        run_id: str | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        *,
        user_id: str | None = None,
    ) -> list[RunMessageView]:
        """A page of a thread's messages, oldest first; the newest page without bounds.

        Args:
            thread_id: the thread.
            run_id: only those of this run.
            limit: most messages to answer with.
            before_seq: page back from here, exclusive.
            after_seq: page forward from here, exclusive.
            user_id: whose.

        """
        query = ListRunMessagesQuery(
            thread_id=ThreadId(thread_id),
            run_id=None if run_id is None else RunId(run_id),
            user_id=user(user_id),
            limit=limit,
            before_seq=before_seq,
            after_seq=after_seq,
        )
        events = await self._open_house().wiring.store.events.list_messages(
            query.thread_id,
            run_id=query.run_id,
            limit=query.limit,
            before_seq=query.before_seq,
            after_seq=query.after_seq,
            user_id=query.user_id,
        )
        return [RunMessageView.of(event) for event in events]

    async def list_events(
        self,
        thread_id: str,
        run_id: str,
        limit: int = 500,
        after_seq: int | None = None,
        *,
        user_id: str | None = None,
        categories: Collection[EventCategory] | None = None,
    ) -> list[StoredRunEvent]:
        """A run's stored events, oldest first; none if it is not on that thread.

        Args:
            thread_id: its thread.
            run_id: the run.
            limit: most events to answer with.
            after_seq: page forward from here, exclusive.
            user_id: whose.
            categories: only those of these shelves.

        Raises:
            InvalidValue: an argument cannot be used.

        """
        check_page(limit)
        if after_seq is not None:
            check_count(after_seq, "after_seq", "give a seq, 0 or more")
        shelves = None if categories is None else choices(EventCategory, categories, "categories")
        run = await self.get_run(run_id, thread_id, user_id)
        if run is None:
            return []
        return await self._open_house().wiring.store.events.list_events_by_run(
            run.run_id, limit=limit, after_seq=after_seq, categories=shelves
        )

    async def aggregate_tokens(
        self, thread_id: str, include_active: bool = False, *, user_id: str | None = None
    ) -> ThreadTokens:
        """What the runs of a thread used; with `include_active`, running ones too."""
        check_flag(include_active, "include_active")
        return await self._open_house().wiring.store.runs.aggregate_tokens_by_thread(
            ThreadId(thread_id), include_active=include_active, user_id=user(user_id)
        )

    async def thread_status(self, thread_id: str, *, user_id: str | None = None) -> ThreadStatus:
        """What a thread is doing. One that has never run anything is idle.

        Raises:
            ThreadNotFound: it belongs to somebody else.

        """
        house, thread, asker = self._open_house(), ThreadId(thread_id), user(user_id)
        if thread in house.registry.threads:
            answer: ThreadStatus = await house.ask(thread, ThreadStatusQuery(asker))
            return answer
        record = await house.wiring.store.runs.load_thread(thread)
        if asker is not None and record.owner not in (None, asker):
            raise ThreadNotFound(thread)
        if record.in_flight:
            return ThreadStatus.BUSY
        if record.last is None:
            return ThreadStatus.IDLE
        return status_after(record.last.status, record.last.waits_for_human)
