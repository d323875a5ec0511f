"""Values on their way into columns and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from json import JSONEncoder
from typing import Any

from sqlalchemy import Row

from ...domain.commands import CreateRunCommand
from ...domain.enums import CancelAction, EventCategory, RunStatus, StopReason
from ...domain.payload import JSON
from ...domain.views import RunSnapshot, RunUsage, StoredRunEvent
from ..entries import NewEvent, RunChange, RunCompletion, kept_model_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""A payload as text. Raises `ValueError` or `TypeError` for what is no JSON."""


def packed(payload: JSON) -> str | None:
    """A payload for its column, which holds `NULL` for `None`."""
    return None if payload is None else encode(payload)


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970, UTC: the same everywhere, and it sorts."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The moment that `micros` made a number of."""
    return _EPOCH + timedelta(microseconds=value)


def printable(text: str | None) -> str | None:
    """Text that every database takes: PostgreSQL's has no NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}") if text else text


def model_name(name: str | None) -> str | None:
    """A model's name, stripped and short; blank is `None`."""
    return printable(kept_model_name(name))


# Runs.

_DEFAULTS: dict[str, Any] = {
    field.name: {} if field.default is MISSING else field.default
    for field in fields(CreateRunCommand)
    if field.name not in ("run_id", "thread_id", "assistant_id")
}
_USAGE = tuple(field.name for field in fields(RunUsage))


def request_document(request: CreateRunCommand) -> dict[str, JSON]:
    """What differs from the defaults."""
    document: dict[str, JSON] = {}
    for field in fields(CreateRunCommand):
        value = getattr(request, field.name)
        if field.name not in _DEFAULTS or value != _DEFAULTS[field.name]:
            document[field.name] = value
    return document


def usage_columns(usage: RunUsage) -> dict[str, Any]:
    """A usage, by column."""
    columns: dict[str, Any] = {name: getattr(usage, name) for name in _USAGE}
    columns["tokens_by_model"] = encode(dict(usage.tokens_by_model))
    columns["first_human_message"] = printable(usage.first_human_message)
    columns["last_ai_message"] = printable(usage.last_ai_message)
    return columns


def new_usage(usage: RunUsage) -> dict[str, Any]:
    """A usage that replaces another, by parameter."""
    return {f"new_{name}": value for name, value in usage_columns(usage).items()}


def run_columns(run: RunSnapshot) -> dict[str, Any]:
    """A record, by column; what places it among its thread's events apart."""
    request = run.request
    return {
        "run_id": request.run_id,
        "status": run.status.value,
        "user_id": request.user_id,
        "idempotency_key": request.idempotency_key,
        "request": encode(request_document(request)),
        "created_at": micros(run.created_at),
        "updated_at": micros(run.updated_at),
        "started_at": None if run.started_at is None else micros(run.started_at),
        "finished_at": _finish(run),
        "attempt": run.attempt,
        "action": run.action,
        "stop_reason": run.stop_reason,
        "error": printable(run.error),
        "output": packed(run.output),
        "completion_data": encode(dict(run.completion_data)),
        "title": printable(run.title),
        "model_name": printable(run.model_name),
        **usage_columns(run.usage),
    }


def _finish(run: RunSnapshot) -> int | None:
    return None if run.finished_at is None else micros(run.finished_at)


def change_columns(change: RunChange) -> dict[str, Any]:
    """A change, by column; `None` leaves a column as it is."""
    at, target = micros(change.at), change.target
    return {
        "run_id": change.run_id,
        "expected": change.expected.value,
        "target": target.value,
        "at": at,
        "begun": at if target is RunStatus.RUNNING else None,
        "ended": at if target.is_terminal else None,
        "attempt": change.attempt,
        "action": change.action,
        "stop_reason": change.stop_reason,
        "error": printable(change.error),
        "renamed": change.model_name is not None,
        "model_name": model_name(change.model_name),
    }


def completion_columns(completion: RunCompletion) -> dict[str, Any]:
    """What is known of an end, by column; `None` leaves a column as it is."""
    usage, output, completion_data, title = completion
    columns: dict[str, Any] = {
        "output": packed(output),
        "completion_data": packed(completion_data),
        "title": printable(title),
    }
    if usage is not None:
        columns |= new_usage(usage)
    return columns


def snapshot_of(row: Row[Any]) -> RunSnapshot:
    """The record that a row of `runs` holds."""
    return RunSnapshot(
        request=CreateRunCommand(**row.request),
        status=RunStatus(row.status),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        started_at=None if row.started_at is None else moment(row.started_at),
        finished_at=None if row.finished_at is None else moment(row.finished_at),
        attempt=row.attempt,
        action=None if row.action is None else CancelAction(row.action),
        stop_reason=None if row.stop_reason is None else StopReason(row.stop_reason),
        error=row.error,
        output=row.output,
        completion_data=row.completion_data,
        title=row.title,
        model_name=row.model_name,
        usage=RunUsage(**{name: getattr(row, name) for name in _USAGE}),
    )


# Events.


def event_key(event: NewEvent) -> str:
    """An event's id without what its run's id tells already."""
    run_id, event_id = event.run_id, event.event_id
    if event_id.startswith(run_id):
        return f"~{event_id[len(run_id) :]}"
    return f"={event_id}"


def event_id(key: str, run_id: str) -> str:
    """The id that `event_key` made a key of."""
    return run_id + key[1:] if key[0] == "~" else key[1:]


def event_of(row: Row[Any]) -> StoredRunEvent:
    """The event that a row of `run_events` holds, with its thread's and run's ids."""
    metadata: Mapping[str, JSON] | None = row.metadata
    return StoredRunEvent(
        position=row.position,
        seq=row.seq,
        event_id=event_id(row.event_key, row.run_id),
        thread_id=row.thread_id,
        run_id=row.run_id,
        category=EventCategory(row.category),
        event_type=row.event_type,
        content=row.content,
        created_at=moment(row.created_at),
        sequence=row.sequence,
        metadata=metadata or {},
    )
