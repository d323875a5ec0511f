"""A run's record in memory."""

from __future__ import annotations

from ...domain.enums import RunStatus
from ...domain.views import RunSnapshot
from ..entries import RunChange, RunCompletion, kept_model_name


class RunRow:
    """A record that changes in place; a `RunSnapshot` is made of it only when one is read."""

    __slots__ = (
        "action",
        "attempt",
        "completion_data",
        "created_at",
        "error",
        "finished_at",
        "model_name",
        "output",
        "request",
        "started_at",
        "status",
        "stop_reason",
        "title",
        "updated_at",
        "usage",
    )

    def __init__(self, run: RunSnapshot) -> None:
        self.request = run.request
        self.status = run.status
        self.created_at = run.created_at
        self.updated_at = run.updated_at
        self.started_at = run.started_at
        self.finished_at = run.finished_at
        self.attempt = run.attempt
        self.action = run.action
        self.stop_reason = run.stop_reason
        self.error = run.error
        self.output = run.output
        self.completion_data = run.completion_data
        self.title = run.title
        self.model_name = run.model_name
        self.usage = run.usage

    def snapshot(self) -> RunSnapshot:
        """The record as it is now."""
        return RunSnapshot(
            request=self.request,
            status=self.status,
            created_at=self.created_at,
            updated_at=self.updated_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            attempt=self.attempt,
            action=self.action,
            stop_reason=self.stop_reason,
            error=self.error,
            output=self.output,
            completion_data=self.completion_data,
            title=self.title,
            model_name=self.model_name,
            usage=self.usage,
        )

    def apply(self, change: RunChange) -> None:
        """Write a change that was found to be allowed."""
        _, _, target, at, attempt, action, stop_reason, error, model_name, completion = change
        self.status = target
        self.updated_at = at
        if target is RunStatus.RUNNING and self.started_at is None:
            self.started_at = at
        if attempt is not None:
            self.attempt = attempt
        if action is not None:
            self.action = action
        if stop_reason is not None:
            self.stop_reason = stop_reason
        if error is not None:
            self.error = error
        if model_name is not None:
            self.set_model_name(model_name)
        if completion is not None:
            self.complete(completion)

    def set_model_name(self, name: str | None) -> None:
        """Keep the name stripped and short; blank is `None`."""
        self.model_name = kept_model_name(name)

    def complete(self, completion: RunCompletion) -> None:
        """Write what is known; `None` leaves a field as it is."""
        usage, output, completion_data, title = completion
        if usage is not None:
            self.usage = usage
        if output is not None:
            self.output = output
        if completion_data is not None:
            self.completion_data = completion_data
        if title is not None:
            self.title = title
