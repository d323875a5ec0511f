"""Runs and threads as clients read them, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..actors.settlement import error_data
from ..domain.enums import RunScope, RunStatus, StopReason, ThreadStatus
from ..domain.payload import JSON
from ..domain.views import RunResult, RunSnapshot, ThreadSnapshot
from .catalogue import id_of

OURS = "langgraph_platform"
"""Under which this server keeps what it must know of a run, in the run's `host_data`."""
_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})
_REASONS = {
    StopReason.SUPERSEDED: "superseded by a newer run",
    StopReason.DISCONNECTED: "client disconnected",
    StopReason.SHUTDOWN: "server shut down",
    StopReason.ERASED: "thread deleted",
    StopReason.ABANDONED: "cancelled; the agent did not stop in time",
}


def run_shape(run: RunSnapshot) -> dict[str, JSON]:
    """A run."""
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": id_of(run.assistant_id),
        "created_at": run.created_at.isoformat(),
        "updated_at": run.updated_at.isoformat(),
        "status": run.status.value,
        "metadata": dict(run.metadata),
        "kwargs": _kwargs(run),
        "multitask_strategy": run.request.multitask_strategy.value,
        "cancel_reason": _reason(run),
    }


def _kwargs(run: RunSnapshot) -> dict[str, JSON]:
    request = run.request
    given: Mapping[str, Any] = request.host_data.get(OURS, {})
    return {
        "input": request.input,
        "command": request.command,
        "config": dict(request.config),
        "context": dict(request.context),
        "stream_mode": given.get("stream_mode") or list(request.stream_mode) or ["values"],
        "interrupt_before": _nodes(request.interrupt_before),
        "interrupt_after": _nodes(request.interrupt_after),
        "webhook": given.get("webhook"),
        "feedback_keys": given.get("feedback_keys"),
        "temporary": request.scope is RunScope.TEMPORARY_THREAD,
        "subgraphs": request.config.get("stream_subgraphs", False),
        "resumable": request.resumable,
        "durability": request.config.get("durability"),
        "on_disconnect": request.on_disconnect.value,
    }


def _nodes(names: tuple[str, ...] | str) -> JSON:
    return names if isinstance(names, str) else list(names) or None


def _reason(run: RunSnapshot) -> str | None:
    if run.status is not RunStatus.INTERRUPTED:
        return None
    if run.stop_reason is None:
        return "cancelled on request"
    return _REASONS.get(run.stop_reason, str(run.stop_reason))


def thread_shape(
    thread: ThreadSnapshot, state: Mapping[str, JSON] | None, last: RunSnapshot | None
) -> dict[str, JSON]:
    """A thread.

    Args:
        thread: its record.
        state: what its agent keeps of it, as a `ThreadState`.
        last: the run that ended last.

    """
    status, failed = thread.status, last is not None and last.status in _FAILED
    if status is ThreadStatus.INTERRUPTED and state is not None and not state["next"]:
        status = ThreadStatus.IDLE  # somebody answered by changing the state
    elif status is ThreadStatus.IDLE and _interrupts(state):
        status = ThreadStatus.INTERRUPTED  # a copy of a thread that waits
    return {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at.isoformat(),
        "updated_at": thread.updated_at.isoformat(),
        "state_updated_at": thread.updated_at.isoformat(),  # what a search by it sorts by
        "metadata": dict(thread.metadata),
        "status": status.value,
        "config": {},
        "context": {},
        "values": (state or {}).get("values") or None,
        "interrupts": _interrupts(state),
        "error": error_data(last.status, last.error) if failed and last else None,
    }


def _interrupts(state: Mapping[str, JSON] | None) -> dict[str, JSON]:
    tasks = (state or {}).get("tasks", ())
    return {task["id"]: task["interrupts"] for task in tasks if task["interrupts"]}


def outcome_shape(result: RunResult, values: JSON) -> JSON:
    """What `wait` and `join` answer.

    Args:
        result: how the run ended.
        values: the thread's, for a run that was aborted.

    """
    if result.status in _FAILED:
        return {"__error__": error_data(result.status, result.error)}
    if result.status is RunStatus.INTERRUPTED:
        return values
    asked = result.completion_data.get("interrupts")
    if asked:
        output = result.output if isinstance(result.output, dict) else {}
        return {**output, "__interrupt__": asked}
    return result.output


def empty_state(thread_id: str, values: JSON = None) -> dict[str, JSON]:
    """The state of a thread that no graph keeps."""
    return {
        "values": {} if values is None else values,
        "next": [],
        "tasks": [],
        "metadata": {},
        "created_at": None,
        "checkpoint": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": None},
        "parent_checkpoint": None,
        "interrupts": [],
        "checkpoint_id": None,
        "parent_checkpoint_id": None,
    }
