"""What a run's actor writes down: the aggregate, the sequence, and the entries they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..domain.commands import CreateRunCommand
from ..domain.enums import CancelAction, EventCategory, LifecycleEventType, RunStatus
from ..domain.events import RunCancelled, RunCompleted, RunCreated, RunEvent, RunFailed, RunStarted
from ..domain.fence import Fence
from ..domain.payload import JSON
from ..domain.run import Run
from ..domain.views import RunResult, RunSnapshot, RunUsage
from ..store.entries import Entry, NewEvent, RunChange, RunCompletion

_LIFECYCLE: dict[type[Any], LifecycleEventType] = {
    RunCreated: LifecycleEventType.RUN_CREATED,
    RunStarted: LifecycleEventType.RUN_STARTED,
    RunCompleted: LifecycleEventType.RUN_COMPLETED,
    RunFailed: LifecycleEventType.RUN_FAILED,
    RunCancelled: LifecycleEventType.RUN_CANCELLED,
}

_HUMAN = frozenset({"human", "user"})
_AI = frozenset({"ai", "assistant"})


class Ledger:
    """A run's record in the making. Owned by one actor, handed on when that is replaced.

    Args:
        run: the run as it is stored.
        sequence: the place of its next lifecycle event.
        fence: for its entries.

    """

    __slots__ = (
        "_dirty",
        "_events",
        "_usage",
        "action",
        "aggregate",
        "attempt",
        "completion_data",
        "fence",
        "model_name",
        "output",
        "request",
        "sequence",
        "started_at",
        "stop_reason",
        "title",
    )

    def __init__(self, run: RunSnapshot, sequence: int, fence: Fence) -> None:
        request = run.request
        self.request = request
        self.fence = fence
        self.aggregate = Run(
            request.run_id, request.thread_id, request.assistant_id, run.created_at
        )
        self.aggregate.status = run.status
        self.aggregate.error = run.error
        self.sequence = sequence
        self.attempt = run.attempt
        self.action = run.action
        self.stop_reason = run.stop_reason
        self.output: JSON = run.output
        self.completion_data: Mapping[str, JSON] = run.completion_data
        self.title = run.title
        self.model_name = run.model_name
        self.started_at: datetime | None = run.started_at
        self._usage: RunUsage = run.usage
        self._events: list[NewEvent] = []
        self._dirty = False

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return self.aggregate.status

    @property
    def dirty(self) -> bool:
        """Whether `progress` has something to say."""
        return self._dirty

    def snapshot(self) -> RunSnapshot:
        """The run as it stands, but for what it spent."""
        run = self.aggregate
        return RunSnapshot(
            request=self.request,
            status=run.status,
            created_at=run.created_at,
            updated_at=run.updated_at,
            started_at=self.started_at,
            finished_at=run.updated_at if run.is_terminal else None,
            attempt=self.attempt,
            action=self.action,
            stop_reason=self.stop_reason,
            error=run.error,
            output=self.output,
            completion_data=self.completion_data,
            title=self.title,
            model_name=self.model_name,
        )

    def result(self) -> RunResult:
        """How the run ended."""
        return RunResult(
            run_id=self.request.run_id,
            thread_id=self.request.thread_id,
            status=self.status,
            error=self.aggregate.error,
            stop_reason=self.stop_reason,
            output=self.output,
            completion_data=self.completion_data,
            title=self.title,
        )

    # Entries.

    def created(self, run: RunSnapshot, extra: tuple[NewEvent, ...] = ()) -> Entry:
        """Insert the run. `run` is its first snapshot."""
        payload = {
            "assistant_id": str(run.assistant_id),
            "multitask_strategy": str(run.request.multitask_strategy),
        }
        event = self.event(LifecycleEventType.RUN_CREATED, payload, run.created_at)
        return Entry(self.fence, insert=run, events=(event, *extra))

    def started(self, at: datetime) -> Entry:
        """The first attempt is about to begin."""
        self.attempt += 1
        self.started_at = self.started_at or at
        return self._move(lambda: self.aggregate.mark_started(at), at)

    def restarted(self, cause: str, delay: float, at: datetime) -> Entry:
        """Another attempt is about to begin."""
        self.attempt += 1
        payload = {"attempt": self.attempt, "error": cause, "delay": delay}
        event = self.event(LifecycleEventType.RUN_RESTARTED, payload, at)
        change = RunChange(
            self.request.run_id, self.status, RunStatus.RUNNING, at, attempt=self.attempt
        )
        return Entry(self.fence, change=change, events=(*self._take(), event))

    def completed(self, at: datetime, frames: tuple[NewEvent, ...] = ()) -> Entry:
        """The run has succeeded."""
        return self._move(lambda: self.aggregate.mark_completed(at), at, frames)

    def failed(
        self, status: RunStatus, error: str, at: datetime, frames: tuple[NewEvent, ...] = ()
    ) -> Entry:
        """The run has ended `error` or `timeout`."""
        mark = self.aggregate.mark_failed
        if status is RunStatus.TIMEOUT:
            mark = self.aggregate.mark_timed_out
        return self._move(lambda: mark(error, at), at, frames)

    def cancelled(
        self, action: CancelAction, at: datetime, frames: tuple[NewEvent, ...] = ()
    ) -> Entry:
        """The run has ended `interrupted`."""
        self.action = action
        return self._move(lambda: self.aggregate.mark_cancelled(action, at), at, frames)

    def progress(self, at: datetime) -> Entry:
        """What agents recorded since the last entry; the status does not change."""
        self._dirty = False
        change = RunChange(
            self.request.run_id,
            self.status,
            self.status,
            at,
            model_name=self.model_name,
            completion=RunCompletion(usage=self._usage, title=self.title),
        )
        return Entry(self.fence, change=change, events=self._take())

    def _move(self, mark: Any, at: datetime, frames: tuple[NewEvent, ...] = ()) -> Entry:
        before = self.status
        mark()
        events = [self._lifecycle(event) for event in self.aggregate.pull_events()]
        terminal = self.status.is_terminal
        change = RunChange(
            self.request.run_id,
            before,
            self.status,
            at,
            attempt=self.attempt,
            action=self.action,
            stop_reason=self.stop_reason,
            error=self.aggregate.error,
            model_name=self.model_name,
            completion=self._completion() if terminal else None,
        )
        return Entry(self.fence, change=change, events=(*self._take(), *frames, *events))

    def _completion(self) -> RunCompletion:
        self._dirty = False
        return RunCompletion(
            usage=self._usage,
            output=self.output,
            completion_data=dict(self.completion_data),
            title=self.title,
        )

    # Events.

    def event(self, kind: LifecycleEventType, payload: dict[str, JSON], at: datetime) -> NewEvent:
        """The run's next lifecycle event."""
        sequence = self.sequence
        self.sequence += 1
        request = self.request
        return lifecycle_event(request.thread_id, request.run_id, kind, payload, at, sequence)

    def _lifecycle(self, event: RunEvent) -> NewEvent:
        payload: dict[str, JSON]
        match event:
            case RunStarted():
                payload = {"attempt": self.attempt}
            case RunFailed():
                payload = {"status": str(event.status), "error": event.error}
            case RunCancelled():
                payload = {"action": str(event.action)}
            case _:
                payload = {"status": str(self.status)}
        if self.stop_reason is not None and self.status.is_terminal:
            payload["stop_reason"] = str(self.stop_reason)
        return self.event(_LIFECYCLE[type(event)], payload, event.at)

    def _take(self) -> tuple[NewEvent, ...]:
        if not self._events:
            return ()
        events, self._events = tuple(self._events), []
        return events

    # What agents record.

    def record(self, kind: str, data: JSON, at: datetime) -> None:
        """Keep it for the next entry."""
        self._dirty = True
        if kind == "message":
            self._message(data, at)
        elif kind == "usage":
            self._add_usage(*data)
        else:
            self.title = data

    def _message(self, data: Mapping[str, JSON], at: datetime) -> None:
        role, content = data["role"], data["content"]
        request, usage = self.request, self._usage
        number = usage.message_count + 1
        self._events.append(
            NewEvent(
                f"{request.run_id}/message/{number}",
                request.thread_id,
                request.run_id,
                EventCategory.MESSAGE,
                role,
                content,
                at,
                None,
                data.get("metadata"),
            )
        )
        text = content if isinstance(content, str) else None
        human, ai = role in _HUMAN, role in _AI
        self._usage = replace(
            usage,
            message_count=number,
            first_human_message=(
                text if human and usage.first_human_message is None else usage.first_human_message
            ),
            last_ai_message=text if ai and text else usage.last_ai_message,
        )
        if human:
            payload = {"content": content}
            self._events.append(self.event(LifecycleEventType.HUMAN_MESSAGE, payload, at))

    def _add_usage(self, model: str, read: int, written: int, caller: str) -> None:
        usage, tokens = self._usage, read + written
        field = f"{caller}_tokens"
        by_model = dict(usage.tokens_by_model)
        by_model[model] = by_model.get(model, 0) + tokens
        self.model_name = self.model_name or model
        self._usage = replace(
            usage,
            total_input_tokens=usage.total_input_tokens + read,
            total_output_tokens=usage.total_output_tokens + written,
            total_tokens=usage.total_tokens + tokens,
            llm_call_count=usage.llm_call_count + 1,
            tokens_by_model=by_model,
            **{field: getattr(usage, field) + tokens},
        )


def pending_snapshot(request: CreateRunCommand, at: datetime) -> RunSnapshot:
    """The first snapshot of a run."""
    return RunSnapshot(request=request, status=RunStatus.PENDING, created_at=at, updated_at=at)


def lifecycle_event(
    thread_id: str,
    run_id: str,
    kind: LifecycleEventType,
    payload: dict[str, JSON],
    at: datetime,
    sequence: int,
) -> NewEvent:
    """A lifecycle event to be stored. Its id says which one it is, however often it is written."""
    return NewEvent(
        f"{run_id}/{sequence}",
        thread_id,
        run_id,
        EventCategory.LIFECYCLE,
        str(kind),
        payload,
        at,
        sequence,
    )
