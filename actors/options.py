"""What can be said of a run when it is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from ..domain.commands import check_many
from ..domain.payload import JSON

Strategy = Literal["reject", "interrupt", "rollback", "enqueue"]
Scope = Literal["stateful", "stateless", "temporary_thread"]
Nodes = Sequence[str] | Literal["*"]


class RunOptions(TypedDict, total=False):
    """The keyword arguments of `create_run`, `create_and_stream` and `create_and_wait`.

    Durations are seconds. Payloads are JSON and travel with the run unchanged.
    """

    input: JSON
    """For the agent."""
    multitask_strategy: Strategy
    """What it does to runs in flight on the thread; default `reject`."""
    user_id: str | None
    """Whom it belongs to; `None` is single-user mode."""
    metadata: Mapping[str, JSON] | None
    config: Mapping[str, JSON] | None
    context: Mapping[str, JSON] | None
    command: JSON
    """For graphs: `resume`, `update`, `goto`."""
    stream_mode: str | Sequence[str] | None
    """For graphs: what to stream."""
    interrupt_before: Nodes | None
    interrupt_after: Nodes | None
    scope: Scope
    """How much of its thread it leaves behind; default `stateful`."""
    on_disconnect: Literal["cancel", "continue"]
    """What happens when the last consumer of its stream goes away."""
    idempotency_key: str | None
    """Seen before on this thread, it names the run that has it."""
    run_id: str | None
    """Chosen by the caller, it makes a repeated create harmless."""
    after_seconds: float
    """Wait this long before it may start."""
    timeout: float | None
    """How long its agent may take."""
    resumable: bool
    """Keep its frames in the event log."""
    follow_up_to_run_id: str | None
    forget_on_rollback: bool
    """Leave no record of it when it was aborted with `rollback`."""
    host_data: Mapping[str, JSON] | None
    """What the host keeps with the run for itself; agents do not see it."""


def command_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as fields of a command: `None` means the default.

    Raises:
        InvalidValue: something is neither a name nor a sequence of names.

    """
    fields = dict(options)
    for name in ("stream_mode", "interrupt_before", "interrupt_after"):
        value = fields.get(name)
        if value is None:
            fields.pop(name, None)
        elif not isinstance(value, str | tuple):
            fields[name] = check_many(value, name)
    return {key: value for key, value in fields.items() if value is not None}
