"""The records of threads in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from ...domain.enums import RunStatus, ThreadStatus
from ...domain.payload import JSON, plain
from ...domain.queries import SearchThreadsQuery, contains
from ...domain.views import ThreadSnapshot
from ..entries import PatchThread, PutThread
from .run_table import RunTable, ThreadRuns

_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


@dataclass(slots=True)
class _Row:
    """A thread that was recorded by itself."""

    user_id: str | None
    metadata: dict[str, JSON]
    created_at: datetime
    updated_at: datetime


class MemoryThreadStore:
    """The port `ThreadStore` in memory.

    Args:
        runs: tells of the threads' runs.

    """

    def __init__(self, runs: RunTable) -> None:
        self._runs = runs
        self._rows: dict[str, _Row] = {}

    # Reading.

    async def get(self, thread_id: str, *, user_id: str | None = None) -> ThreadSnapshot | None:
        """The thread, or `None`."""
        found = self._snapshot(thread_id)
        return found if found and user_id in (None, found.user_id) else None

    async def search(self, query: SearchThreadsQuery) -> list[ThreadSnapshot]:
        """A page of the threads that the query names, in its order."""
        found = sorted(self._matches(query), key=lambda thread: thread.thread_id)

        def rank(thread: ThreadSnapshot) -> Any:
            return getattr(thread, query.sort_by)

        found.sort(key=rank, reverse=query.descending)
        return list(islice(found, query.offset, query.offset + query.limit))

    async def count(self, query: SearchThreadsQuery) -> int:
        """How many threads the query names, on all pages."""
        return sum(1 for _ in self._matches(query))

    def _matches(self, query: SearchThreadsQuery) -> Iterator[ThreadSnapshot]:
        named = query.thread_ids
        ids = {*self._rows, *self._runs.thread_ids()} if named is None else dict.fromkeys(named)
        for thread_id in ids:
            found = self._snapshot(thread_id)
            if (
                found is not None
                and query.user_id in (None, found.user_id)
                and query.status in (None, found.status)
                and contains(found.metadata, query.metadata)
            ):
                yield found

    def _snapshot(self, thread_id: str) -> ThreadSnapshot | None:
        row, runs = self._rows.get(thread_id), self._runs.thread(thread_id)
        times = list(_times(runs))
        if row is not None:
            times[:0] = [row.created_at, row.updated_at]
        if not times:
            return None
        last = runs.ended.last() if runs else None
        return ThreadSnapshot(
            thread_id=thread_id,
            created_at=times[0],
            updated_at=max(times),
            status=_status(runs),
            user_id=row.user_id if row else runs.owner if runs else None,
            metadata=row.metadata if row else {},
            last_run_id=last.request.run_id if last else None,
        )

    # Writing.

    def has(self, thread_id: str) -> bool:
        """Whether the thread was recorded by itself."""
        return thread_id in self._rows

    def owner(self, thread_id: str) -> str | None:
        """Whose thread it was recorded as."""
        row = self._rows.get(thread_id)
        return row.user_id if row else None

    def put(self, thread: PutThread) -> bool:
        """Record a thread. Returns whether there was none."""
        if self._snapshot(thread.thread_id) is not None:
            return False
        metadata = plain(thread.metadata, "metadata")
        self._rows[thread.thread_id] = _Row(thread.user_id, metadata, thread.at, thread.at)
        return True

    def patch(self, patch: PatchThread) -> bool:
        """Set keys of the metadata. Returns whether there is such a thread."""
        found = self._snapshot(patch.thread_id)
        if found is None:
            return False
        metadata = {**found.metadata, **plain(patch.metadata, "metadata")}
        self._rows[patch.thread_id] = _Row(found.user_id, metadata, found.created_at, patch.at)
        return True

    def forget(self, thread_id: str) -> None:
        """Forget a thread."""
        self._rows.pop(thread_id, None)


def _times(runs: ThreadRuns | None) -> Iterator[datetime]:
    """When something happened to a thread's runs: first the first creation."""
    if runs is None or not runs.created.rows:
        return
    yield next(iter(runs.created.rows.values())).created_at
    for last in (runs.created.last(), runs.ended.last()):
        if last is not None:
            yield last.created_at
            yield last.finished_at or last.created_at


def _status(runs: ThreadRuns | None) -> ThreadStatus:
    if runs is None:
        return ThreadStatus.IDLE
    if runs.in_flight:
        return ThreadStatus.BUSY
    last = runs.ended.last()
    if last is None:
        return ThreadStatus.IDLE
    if "interrupts" in last.completion_data:
        return ThreadStatus.INTERRUPTED
    return ThreadStatus.ERROR if last.status in _FAILED else ThreadStatus.IDLE
