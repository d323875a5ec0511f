"""The part of `Runtime` that keeps the records of threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from ..domain.conflicts import ThreadExists
from ..domain.enums import ThreadStatus
from ..domain.errors import InvalidValue, ThreadNotFound
from ..domain.identifiers import ThreadId, user
from ..domain.payload import JSON, plain
from ..domain.queries import SearchThreadsQuery
from ..domain.store_errors import StoreUnavailable
from ..domain.views import ThreadSnapshot
from ..observers import Write
from ..store.entries import Entry, PatchThread, PutThread, Verdict
from .lifecycle import Lifecycle
from .messages import EraseThread, Recorded, WhileIdle

_MOMENT = timedelta(microseconds=1)
"""The shortest time that a store can tell."""

T = TypeVar("T")
Order = Literal["thread_id", "status", "created_at", "updated_at"]


class ThreadCalls(Lifecycle):
    """Threads as such: created, found, changed, deleted.

    With `user_id`, what belongs to others does not exist; `None` is single-user mode.
    """

    _made_at = datetime.fromtimestamp(0, UTC)
    """When a thread was made last. No two are made at one moment: it tells them apart."""

    async def create_thread(
        self,
        thread_id: str | None = None,
        *,
        metadata: Mapping[str, JSON] | None = None,
        user_id: str | None = None,
    ) -> ThreadSnapshot:
        """Record a thread. A run may be the first to make it, so this is for its metadata.

        Args:
            thread_id: its id; `None` makes one.
            metadata: what to search it by.
            user_id: whose it is.

        Raises:
            ThreadExists: there is one with that id, perhaps somebody else's.
            InvalidValue: an argument cannot be used.

        """
        house = self._open_house()
        at = self._made_at = max(house.kernel.clock.now(), self._made_at + _MOMENT)
        thread = ThreadId(house.kernel.entropy.new_id(at) if thread_id is None else thread_id)
        owner, kept = user(user_id), _metadata(metadata)
        made = ThreadSnapshot(
            thread_id=thread,
            created_at=at,
            updated_at=at,
            status=ThreadStatus.IDLE,
            user_id=owner,
            metadata=kept,
        )
        if await self._record(thread, PutThread(thread, owner, kept, at)) is Verdict.DUPLICATE:
            # What was in doubt is written again, and finds itself.
            known = await self.get_thread(thread)
            if known is None or _made(known) != _made(made):
                raise ThreadExists(thread)
        resident = house.registry.threads.get(thread)
        if resident is not None:
            resident.send(Recorded(owner))
        return made

    async def get_thread(
        self, thread_id: str, *, user_id: str | None = None
    ) -> ThreadSnapshot | None:
        """A thread as it is recorded; `None` if there is none."""
        threads = self._open_house().wiring.store.threads
        return await threads.get(ThreadId(thread_id), user_id=user(user_id))

    async def search_threads(
        self,
        *,
        thread_ids: Sequence[str] | None = None,
        metadata: Mapping[str, JSON] | None = None,
        status: str | None = None,
        limit: int = 10,
        offset: int = 0,
        sort_by: Order = "updated_at",
        descending: bool = True,
        user_id: str | None = None,
    ) -> list[ThreadSnapshot]:
        """A page of the threads that all the criteria name.

        Args:
            thread_ids: some of these.
            metadata: what theirs must contain.
            status: what they are doing.
            limit: most threads to answer with.
            offset: how many to pass over.
            sort_by: by what they are sorted.
            descending: the highest first.
            user_id: whose.

        Raises:
            InvalidValue: an argument cannot be used.

        """
        query = _query(
            thread_ids,
            metadata=metadata,
            status=status,
            limit=limit,
            offset=offset,
            sort_by=sort_by,
            descending=descending,
            user_id=user_id,
        )
        return await self._open_house().wiring.store.threads.search(query)

    async def count_threads(
        self,
        *,
        metadata: Mapping[str, JSON] | None = None,
        status: str | None = None,
        user_id: str | None = None,
    ) -> int:
        """How many threads there are that all the criteria name; see `search_threads`."""
        query = _query(None, metadata=metadata, status=status, user_id=user_id)
        return await self._open_house().wiring.store.threads.count(query)

    async def update_thread(
        self, thread_id: str, metadata: Mapping[str, JSON], *, user_id: str | None = None
    ) -> ThreadSnapshot:
        """Set keys of a thread's metadata; the others stay.

        Raises:
            ThreadNotFound: there is no such thread for this user.
            InvalidValue: an argument cannot be used.

        """
        kept = _metadata(metadata)
        thread = await self.require_thread(thread_id, user_id=user_id)
        patch = PatchThread(thread.thread_id, kept, self._open_house().kernel.clock.now())
        if await self._record(thread.thread_id, patch) is Verdict.STALE:
            raise ThreadNotFound(thread_id)
        merged = {**thread.metadata, **kept}
        return replace(thread, metadata=merged, updated_at=max(patch.at, thread.updated_at))

    async def require_thread(self, thread_id: str, *, user_id: str | None = None) -> ThreadSnapshot:
        """A thread as it is recorded.

        Raises:
            ThreadNotFound: there is no such thread for this user.

        """
        thread = await self.get_thread(thread_id, user_id=user_id)
        if thread is None:
            raise ThreadNotFound(thread_id)
        return thread

    async def delete_thread(self, thread_id: str, *, user_id: str | None = None) -> bool:
        """Abort a thread's runs, wait until they have unwound, and delete all of it.

        The checkpoints of graphs are not the runtime's: they stay.

        Returns:
            whether there was such a thread.

        Raises:
            StoreUnavailable: the store does not take writes. Nothing was done.

        """
        house, thread = self._open_house(), ThreadId(thread_id)
        if await self.get_thread(thread, user_id=user_id) is None:
            return False
        trouble = house.supervisor.store_trouble
        if trouble is not None:  # else its runs would be aborted, and nothing deleted for long
            raise StoreUnavailable("the deletion", trouble)
        await house.ask(thread, EraseThread(user(user_id)))
        return True

    async def while_idle(
        self, thread_id: str, work: Callable[[], Awaitable[T]], *, user_id: str | None = None
    ) -> T:
        """Do something to a thread while it has no run: what is created meanwhile waits.

        The thread's actor carries it out, and does nothing else until it is over. So one such
        work follows the other; it must not ask the runtime for anything of the same thread but
        what is recorded. It is cancelled if the runtime closes, and goes on if who asked gives up.

        Args:
            thread_id: the thread; it need not be recorded.
            work: is called, and awaited. What it returns or raises is returned or raised.
            user_id: who asks.

        Raises:
            ThreadBusy: a run is in flight.
            ThreadNotFound: it belongs to somebody else.
            RuntimeClosed: the runtime closed before it was over.

        """
        message = WhileIdle(work, user(user_id))
        done: T = await self._open_house().ask(ThreadId(thread_id), message)
        return done

    async def _record(self, thread_id: str, record: PutThread | PatchThread) -> Verdict:
        house = self._open_house()
        entry = Entry(house.wiring.fence(thread_id), thread=record)
        outcome = await house.wiring.ask(house.wiring.journal, Write(entry, refusable=True))
        verdict: Verdict = outcome.verdict
        return verdict


def _metadata(metadata: Mapping[str, JSON] | None) -> dict[str, JSON]:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidValue("metadata", metadata, "give an object")
    kept: dict[str, JSON] = plain(metadata or {}, "metadata")
    if _has_nul(kept):
        raise InvalidValue("metadata", "text with NUL", "leave NUL out of what is searched")
    return kept


def _made(thread: ThreadSnapshot) -> tuple[Any, ...]:
    """What its creation says of a thread."""
    return thread.created_at, thread.user_id, thread.metadata


def _has_nul(value: JSON) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def _query(thread_ids: Sequence[str] | None, **criteria: Any) -> SearchThreadsQuery:
    criteria["thread_ids"] = thread_ids  # the query reads them
    given = {name: value for name, value in criteria.items() if value is not None}
    return SearchThreadsQuery(**given)
