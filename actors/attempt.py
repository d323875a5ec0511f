"""One attempt at a run: the task that executes the agent, and the gate in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from ..domain.errors import CallboardError, InvalidValue
from ..domain.payload import JSON, plain
from .context import AttemptGate, Checkpoint, RunContext
from .executors.base import AttemptOutput, Executor
from .messages import AttemptEnded, Restored

if TYPE_CHECKING:
    from ..kernel import LoopRef
    from .book import RunBook
    from .wiring import Wiring


class AgentExited(CallboardError):
    """The agent raised `SystemExit` or another exception that is none of its business.

    Args:
        raised: the exception, as text.

    """

    def __init__(self, raised: str) -> None:
        super().__init__(raised)
        self.raised = raised

    def _message(self) -> str:
        return f"The agent raised {self.raised}, which would end the process: raise an Exception."


class _Unset:
    """No state was captured: the agent has not begun."""


UNSET = _Unset()


class Attempt:
    """Executes the agent once.

    Args:
        wiring: whom to talk to.
        book: the run.
        executor: drives the agent.
        actor: gets `AttemptEnded`.

    """

    __slots__ = ("_actor", "_executor", "_wiring", "context", "gate", "number", "task")

    def __init__(
        self, wiring: Wiring, book: RunBook, executor: Executor, actor: LoopRef[Any]
    ) -> None:
        self.number = book.ledger.attempt
        self.gate = AttemptGate()
        self.context = _context(wiring, book, actor, self.gate)
        self._executor = executor
        self._actor = actor
        self._wiring = wiring
        self.task = wiring.kernel.run(
            _execute(executor, self.context, book),
            self._ended,
            f"callboard run {self.context.run_id}",
        )

    @property
    def executing(self) -> bool:
        """Whether its code still executes."""
        return not self.task.done()

    def cancel(self) -> None:
        """Have the agent unwind."""
        self.task.cancel()

    def fence(self) -> None:
        """Keep nothing that it does from now on, and try once more to have it unwind."""
        self.gate.closed = self.gate.fenced = True
        self.task.cancel()

    def hand_over(self) -> None:
        """Have the agent unwind, and leave its run as it is."""
        self.gate.closed = True
        self.task.cancel()

    def close(self) -> None:
        """It is over: it writes nothing more."""
        self.gate.closed = True

    def restore(self, captured: Any) -> asyncio.Task[None]:
        """Put the thread's state back; the actor gets `Restored`."""
        work = self._executor.restore(self.context, captured)
        return _restoring(self._wiring, work, self.context.run_id, self._actor)

    def _ended(self, task: asyncio.Task[AttemptOutput]) -> None:
        if task.cancelled():
            ended = AttemptEnded(self.number, None, asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            ended = AttemptEnded(self.number, None, error)
        else:
            ended = AttemptEnded(self.number, task.result(), None)
        self._actor.send(ended)


def restore_orphan(
    wiring: Wiring, book: RunBook, executor: Executor, actor: LoopRef[Any]
) -> asyncio.Task[None]:
    """Put the thread's state back to what it was before another process began the run."""
    context = _context(wiring, book, actor, AttemptGate())

    async def restore() -> None:
        await executor.restore(context, await executor.capture(context))

    return _restoring(wiring, restore(), context.run_id, actor)


def _context(wiring: Wiring, book: RunBook, actor: LoopRef[Any], gate: AttemptGate) -> RunContext:
    ledger = book.ledger
    checkpoint = Checkpoint(wiring, ledger.request, ledger.fence, gate, actor)
    return RunContext(
        ledger.request, ledger.attempt, actor, book.writer, book.abort, checkpoint, gate
    )


def _restoring(
    wiring: Wiring, work: Coroutine[Any, Any, None], run_id: str, actor: LoopRef[Any]
) -> asyncio.Task[None]:
    def done(task: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        actor.send(Restored(error))

    return wiring.kernel.run(work, done, f"callboard rollback {run_id}")


async def _execute(executor: Executor, context: RunContext, book: RunBook) -> AttemptOutput:
    structlog.contextvars.bind_contextvars(run_id=context.run_id, thread_id=context.thread_id)
    try:
        if book.captured is UNSET:
            book.captured = await executor.capture(context)
        return _checked(await executor.execute(context))
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        # asyncio would carry SystemExit and its like out of the loop and end the host.
        raise AgentExited(repr(error)) from error


def _checked(result: object) -> AttemptOutput:
    """What the executor returned, as JSON that nobody can change any more."""
    if not isinstance(result, AttemptOutput):
        raise InvalidValue("execute()", result, "have the executor return an AttemptOutput")
    data: dict[str, JSON] = plain(result.completion_data, "completion_data")
    return AttemptOutput(plain(result.output, "output"), data)
