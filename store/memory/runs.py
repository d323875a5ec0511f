"""The run store in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from ...domain.commands import CreateRunCommand
from ...domain.enums import CancelAction, RunStatus, StopReason
from ...domain.payload import JSON
from ...domain.run import TRANSITIONS
from ...domain.views import (
    CallerTokens,
    ModelTokens,
    RunSnapshot,
    RunUsage,
    ThreadTokens,
)
from ..ports import RunChange, RunCompletion, ThreadRecord

_FIELDS = (
    "request",
    "status",
    "created_at",
    "updated_at",
    "started_at",
    "finished_at",
    "attempt",
    "action",
    "stop_reason",
    "error",
    "output",
    "completion_data",
    "title",
    "model_name",
    "usage",
)
_MODEL_NAME = 128
"""Longest name of a model that is kept, in characters."""


class _Row:
    """A record that changes in place."""

    __slots__ = _FIELDS

    request: CreateRunCommand
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    action: CancelAction | None
    stop_reason: StopReason | None
    error: str | None
    output: JSON
    completion_data: Mapping[str, JSON]
    title: str | None
    model_name: str | None
    usage: RunUsage

    def __init__(self, run: RunSnapshot) -> None:
        for name in _FIELDS:
            setattr(self, name, getattr(run, name))

    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(**{name: getattr(self, name) for name in _FIELDS})


class _Thread:
    """What is on one thread, by insertion."""

    __slots__ = ("in_flight", "keys", "last", "owner", "rows")

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.rows: dict[str, _Row] = {}
        self.in_flight: dict[str, _Row] = {}
        self.keys: dict[str, _Row] = {}
        self.last: _Row | None = None


class MemoryRunStore:
    """Keeps records in dictionaries, by id and by thread."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._threads: dict[str, _Thread] = {}
        self._in_flight: dict[str, _Row] = {}

    def visible(self, run_id: str, user_id: str | None) -> bool:
        """Whether a user may see a run."""
        if user_id is None:
            return True
        row = self._rows.get(run_id)
        return row is not None and row.request.user_id == user_id

    # Writing.

    async def put(self, run: RunSnapshot) -> bool:
        """Insert a record. A second put of the same `run_id` changes nothing."""
        return self.insert(run)

    def insert(self, run: RunSnapshot) -> bool:
        """Insert, unless the id, or the key on its thread, is taken."""
        request = run.request
        thread = self._threads.get(request.thread_id)
        key = request.idempotency_key
        if request.run_id in self._rows or (thread and key is not None and key in thread.keys):
            return False
        if thread is None:
            thread = self._threads[request.thread_id] = _Thread(request.user_id)
        row = _Row(run)
        self._rows[request.run_id] = thread.rows[request.run_id] = row
        if key is not None:
            thread.keys[key] = row
        if run.status.is_terminal:
            thread.last = row
        else:
            self._in_flight[request.run_id] = thread.in_flight[request.run_id] = row
        return True

    async def update_status(self, change: RunChange) -> bool:
        """Compare-and-set."""
        return self.change(change)

    def change(self, change: RunChange) -> bool:
        """Compare-and-set, at once."""
        row = self._rows.get(change.run_id)
        if row is None or row.status is not change.expected:
            return False
        target = change.target
        if target is not row.status and target not in TRANSITIONS[row.status]:
            return False
        row.status, row.updated_at = target, change.at
        if target is RunStatus.RUNNING and row.started_at is None:
            row.started_at = change.at
        for name in ("attempt", "action", "stop_reason", "error", "model_name"):
            value = getattr(change, name)
            if value is not None:
                setattr(row, name, value)
        if change.completion is not None:
            _complete(row, change.completion)
        if target.is_terminal:
            self._finish(row, change.at)
        return True

    def _finish(self, row: _Row, at: datetime) -> None:
        if row.finished_at is None:
            row.finished_at = at
        thread = self._threads[row.request.thread_id]
        thread.last = row
        thread.in_flight.pop(row.request.run_id, None)
        self._in_flight.pop(row.request.run_id, None)

    async def update_model_name(self, run_id: str, model_name: str | None) -> bool:
        """Set the model's name: stripped, at most 128 characters, blank is `None`."""
        row = self._rows.get(run_id)
        if row is None:
            return False
        row.model_name = (model_name or "").strip()[:_MODEL_NAME] or None
        return True

    async def update_run_completion(
        self, run_id: str, status: RunStatus, completion: RunCompletion, error: str | None = None
    ) -> bool:
        """Store a run's end. A terminal status is never replaced by another."""
        row = self._rows.get(run_id)
        if row is None or (row.status is not status and status not in TRANSITIONS[row.status]):
            return False
        row.status = status
        _complete(row, completion)
        if error is not None:
            row.error = error
        if status.is_terminal:
            self._finish(row, row.updated_at)
        return True

    async def update_run_progress(self, run_id: str, usage: RunUsage) -> bool:
        """Store what a running run spent so far."""
        row = self._rows.get(run_id)
        if row is None or row.status is not RunStatus.RUNNING:
            return False
        row.usage = usage
        return True

    async def delete(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a record."""
        if not self.visible(run_id, user_id):
            return False
        return self.remove(run_id)

    def remove(self, run_id: str) -> bool:
        """Delete a record, at once."""
        row = self._rows.pop(run_id, None)
        if row is None:
            return False
        self._in_flight.pop(run_id, None)
        thread = self._threads[row.request.thread_id]
        thread.rows.pop(run_id, None)
        thread.in_flight.pop(run_id, None)
        if row.request.idempotency_key is not None:
            thread.keys.pop(row.request.idempotency_key, None)
        if thread.last is row:
            ended = [other for other in thread.rows.values() if other.status.is_terminal]
            thread.last = max(ended, key=lambda other: other.updated_at, default=None)
        if not thread.rows:
            del self._threads[row.request.thread_id]
        return True

    def remove_thread(self, thread_id: str) -> None:
        """Delete all records of a thread."""
        thread = self._threads.pop(thread_id, None)
        for run_id in thread.rows if thread else ():
            self._rows.pop(run_id, None)
            self._in_flight.pop(run_id, None)

    # Reading.

    async def get(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """The record, or `None`."""
        row = self._rows.get(run_id)
        return row.snapshot() if row is not None and self.visible(run_id, user_id) else None

    async def find_by_key(self, thread_id: str, idempotency_key: str) -> RunSnapshot | None:
        """The run that was created on this thread with this key, or `None`."""
        thread = self._threads.get(thread_id)
        row = thread.keys.get(idempotency_key) if thread else None
        return row.snapshot() if row else None

    async def load_thread(self, thread_id: str) -> ThreadRecord:
        """What is in flight on a thread, whose it is, and how its last run ended."""
        thread = self._threads.get(thread_id)
        if thread is None:
            return ThreadRecord(None, (), None)
        in_flight = tuple(row.snapshot() for row in thread.in_flight.values())
        return ThreadRecord(
            thread.owner, in_flight, thread.last.snapshot() if thread.last else None
        )

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
        thread = self._threads.get(thread_id)
        page: list[RunSnapshot] = []
        skip = offset
        for row in reversed(thread.rows.values()) if thread else ():
            if status not in (None, row.status) or user_id not in (None, row.request.user_id):
                continue
            if skip:
                skip -= 1
                continue
            page.append(row.snapshot())
            if len(page) >= limit:
                break
        return page

    async def list_pending(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` runs, oldest first."""
        return self._open_rows({RunStatus.PENDING}, before, user_id)

    async def list_inflight(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` and `running` runs, oldest first."""
        return self._open_rows({RunStatus.PENDING, RunStatus.RUNNING}, before, user_id)

    def _open_rows(
        self, statuses: set[RunStatus], before: datetime | None, user_id: str | None
    ) -> list[RunSnapshot]:
        return [
            row.snapshot()
            for row in self._in_flight.values()
            if row.status in statuses
            and (before is None or row.created_at < before)
            and user_id in (None, row.request.user_id)
        ]

    async def aggregate_tokens_by_thread(
        self, thread_id: str, *, include_active: bool = False, user_id: str | None = None
    ) -> ThreadTokens:
        """What a thread's ended runs used, by model and caller."""
        thread = self._threads.get(thread_id)
        counted = [
            row
            for row in (thread.rows.values() if thread else ())
            if user_id in (None, row.request.user_id)
            and (row.status.is_terminal or (include_active and row.status is RunStatus.RUNNING))
        ]
        return _aggregate(row.usage for row in counted)


def _complete(row: _Row, completion: RunCompletion) -> None:
    if completion.usage is not None:
        row.usage = completion.usage
    if completion.output is not None:
        row.output = completion.output
    if completion.completion_data is not None:
        row.completion_data = completion.completion_data
    if completion.title is not None:
        row.title = completion.title


def _aggregate(usages: Iterable[RunUsage]) -> ThreadTokens:
    totals: defaultdict[str, int] = defaultdict(int)
    tokens: defaultdict[str, int] = defaultdict(int)
    runs: defaultdict[str, int] = defaultdict(int)
    for usage in usages:
        totals["runs"] += 1
        for name in (
            "total_tokens",
            "total_input_tokens",
            "total_output_tokens",
            "lead_agent_tokens",
            "subagent_tokens",
            "middleware_tokens",
        ):
            totals[name] += getattr(usage, name)
        for model, count in usage.tokens_by_model.items():
            tokens[model] += count
            runs[model] += 1
    return ThreadTokens(
        total_tokens=totals["total_tokens"],
        total_input_tokens=totals["total_input_tokens"],
        total_output_tokens=totals["total_output_tokens"],
        total_runs=totals["runs"],
        by_model={model: ModelTokens(tokens=tokens[model], runs=runs[model]) for model in tokens},
        by_caller=CallerTokens(
            lead_agent=totals["lead_agent_tokens"],
            subagent=totals["subagent_tokens"],
            middleware=totals["middleware_tokens"],
        ),
    )
