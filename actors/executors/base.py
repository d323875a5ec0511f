"""What an executor is: the adapter that drives one kind of agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ...domain.payload import JSON

if TYPE_CHECKING:
    from ..context import RunContext


@dataclass(frozen=True, slots=True)
class AttemptOutput:
    """What an attempt that came to its end has to show.

    Args:
        output: the run's output; what is not JSON fails the run.
        completion_data: what there is to tell beside it; it has `interrupts`, a list of
            the questions, when the agent stopped for a human (empty at a breakpoint).

    """

    output: JSON = None
    completion_data: Mapping[str, JSON] = field(default_factory=dict)


@runtime_checkable
class Executor(Protocol):
    """Drives one kind of agent. One executor serves all runs of its agent.

    The methods are called on the runtime's event loop, in a task of the run's own, one
    after the other: `capture`, then `execute` once per attempt, and `restore` after the
    agent has unwound from an abort with `rollback`. An abort sets `run.abort` and then
    cancels the task that is in `execute`; the executor lets the `CancelledError` through
    when the agent's code has unwound.
    """

    async def capture(self, run: RunContext) -> Any:
        """Remember the thread's state before the run, for `restore`; opaque.

        If it raises, the run fails before its agent has started.
        """
        ...

    async def execute(self, run: RunContext) -> AttemptOutput:
        """Run one attempt to its end.

        Raises:
            Exception: whatever the agent raised.
            asyncio.CancelledError: the agent has unwound after an abort.

        """
        ...

    async def restore(self, run: RunContext, captured: Any) -> None:
        """Put the thread's state back to what `capture` saw. Idempotent."""
        ...
