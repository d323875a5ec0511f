"""The run store in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from ...domain.commands import choice
from ...domain.enums import IN_FLIGHT, RunStatus
from ...domain.views import RunSnapshot, RunUsage, ThreadTokens
from ..entries import RunChange, RunCompletion, ThreadRecord, Unfinished
from .event_table import EventTable
from .run_row import RunRow
from .run_table import RunTable
from .tokens import add_up


class MemoryRunStore:
    """The port `RunStore` on the tables in memory.

    What is read shares its payloads with the record: they are read, never written to.

    Args:
        runs: what it reads and writes.
        events: where a deleted run's events are deleted.

    """

    def __init__(self, runs: RunTable, events: EventTable) -> None:
        self._runs = runs
        self._events = events

    async def put(self, run: RunSnapshot) -> bool:
        """Insert a record, unless its id, or its key on its thread, is taken."""
        return self._runs.insert(run)

    async def get(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """The record, or `None`."""
        row = self._runs.get(run_id, user_id)
        return row.snapshot() if row else None

    async def find_by_key(self, thread_id: str, idempotency_key: str) -> RunSnapshot | None:
        """The run that was created on this thread with this key, or `None`."""
        thread = self._runs.thread(thread_id)
        row = thread.keys.get(idempotency_key) if thread else None
        return row.snapshot() if row else None

    async def load_thread(self, thread_id: str) -> ThreadRecord:
        """What is in flight on a thread, whose it is, and how its last run ended."""
        thread = self._runs.thread(thread_id)
        if thread is None:
            kept = self._runs.is_kept(thread_id)
            return ThreadRecord(self._runs.owner(thread_id), (), None, kept=kept)
        last = thread.ended.last()
        in_flight = tuple(self._unfinished(row) for row in thread.in_flight.values())
        overtaking = tuple(thread.overtaking())
        return ThreadRecord(thread.owner, in_flight, last.snapshot() if last else None, overtaking)

    async def list_unfinished(self) -> list[Unfinished]:
        """All runs in flight, with how far their events go, oldest first."""
        return [self._unfinished(row) for row in self._runs.in_flight()]

    def _unfinished(self, row: RunRow) -> Unfinished:
        return Unfinished(row.snapshot(), *self._events.reach(row.request.run_id))

    async def list_by_thread(
        self,
        thread_id: str,
        *,
        user_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
        status: RunStatus | None = None,
    ) -> list[RunSnapshot]:
        """Records of a thread, newest first."""
        if status is not None:
            status = choice(RunStatus, status, "status")
        thread = self._runs.thread(thread_id)
        if thread is None or not self._runs.may_see_thread(thread_id, user_id):
            return []
        rows: Iterable[RunRow] = reversed(thread.created.rows.values())
        if status in IN_FLIGHT:
            rows = [row for row in rows if row.status is status] if thread.in_flight else ()
        chosen = (
            row
            for row in rows
            if status in (None, row.status) and user_id in (None, row.request.user_id)
        )
        return [row.snapshot() for row in islice(chosen, offset, offset + limit)]

    async def update_status(self, change: RunChange) -> bool:
        """Compare-and-set."""
        return self._runs.change(change)

    async def update_model_name(self, run_id: str, model_name: str | None) -> bool:
        """Set the model's name: stripped, at most 128 characters, blank is `None`."""
        row = self._runs.get(run_id)
        if row is None:
            return False
        row.set_model_name(model_name)
        return True

    async def update_run_completion(
        self,
        run_id: str,
        status: RunStatus,
        completion: RunCompletion,
        at: datetime,
        *,
        error: str | None = None,
    ) -> bool:
        """Store a run's end. A terminal status is never replaced by another."""
        return self._runs.complete(run_id, status, completion, at, error)

    async def update_run_progress(self, run_id: str, usage: RunUsage) -> bool:
        """Store what a running run spent so far."""
        row = self._runs.get(run_id)
        if row is None or row.status is not RunStatus.RUNNING:
            return False
        row.usage = usage
        return True

    async def delete(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a record and its events. An absent one is a no-op."""
        if self._runs.get(run_id, user_id) is None:
            return False
        self._events.delete_run(run_id)
        return self._runs.remove(run_id)

    async def list_pending(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` runs, oldest first."""
        waiting = await self.list_inflight(before=before, user_id=user_id)
        return [run for run in waiting if run.status is RunStatus.PENDING]

    async def list_inflight(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` and `running` runs, oldest first."""
        return [
            row.snapshot()
            for row in self._runs.in_flight()
            if (before is None or row.created_at < before)
            and user_id in (None, row.request.user_id)
        ]

    async def aggregate_tokens_by_thread(
        self, thread_id: str, *, include_active: bool = False, user_id: str | None = None
    ) -> ThreadTokens:
        """What a thread's ended runs used, by model and caller."""
        thread = self._runs.thread(thread_id)
        if thread is None:
            return ThreadTokens()
        rows = list(thread.ended.rows.values())
        if include_active:
            rows += [r for r in thread.in_flight.values() if r.status is RunStatus.RUNNING]
        return add_up(row.usage for row in rows if user_id in (None, row.request.user_id))
