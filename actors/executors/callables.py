"""Executors for agents that are functions."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ...domain.enums import RunScope
from ...domain.errors import InvalidValue
from .base import AttemptOutput

if TYPE_CHECKING:
    from ..context import RunContext
    from .workers import Workers


class _StateExecutor:
    """What function agents share: their state is what they saved as `run.checkpoint`."""

    async def capture(self, run: RunContext) -> None:
        """Nothing to do: the store keeps the state before the run by itself."""

    async def restore(self, run: RunContext, captured: object) -> None:  # noqa: ARG002
        """Forget what the run saved."""
        await run.checkpoint.forget()

    @staticmethod
    async def _close(run: RunContext) -> None:
        if run.scope is not RunScope.STATEFUL:
            await run.checkpoint.forget()


class GeneratorExecutor(_StateExecutor):
    """Drives an async generator: each item it yields is a frame.

    An item is a pair `(event, data)`; anything else is data of a `values` frame. The
    run's output is the data of the last `values` frame.

    Args:
        agent: the async generator function.

    """

    def __init__(self, agent: Callable[[RunContext], AsyncGenerator[Any, None]]) -> None:
        self._agent = agent

    async def execute(self, run: RunContext) -> AttemptOutput:
        """Run the generator to its end, and close it whatever happens."""
        output: Any = None
        generator = self._agent(run)
        try:
            async for item in generator:
                event, data = _as_frame(item)
                data = run.emit(event, data)
                if event == "values":
                    output = data
                if run.backlog >= FLUSH_EVERY:
                    await run.flush()
        finally:
            await generator.aclose()
            await self._close(run)
        return AttemptOutput(output)


class CoroutineExecutor(_StateExecutor):
    """Drives a coroutine function; what it returns is the run's output.

    Args:
        agent: the coroutine function.

    """

    def __init__(self, agent: Callable[[RunContext], Awaitable[Any]]) -> None:
        self._agent = agent

    async def execute(self, run: RunContext) -> AttemptOutput:
        """Await the coroutine."""
        try:
            return AttemptOutput(await self._agent(run))
        finally:
            await self._close(run)


class FunctionExecutor(_StateExecutor):
    """Drives a plain function in an OS thread; what it returns is the run's output.

    Nothing can stop an OS thread: an abort reaches the function as `run.abort`, and the
    attempt has unwound when the function returns or raises. An abandoned one is waited for
    until the host cancels the wait, so that it never keeps an event loop from ending.

    Args:
        agent: the function.
        workers: where it runs.

    """

    def __init__(self, agent: Callable[[RunContext], Any], workers: Workers) -> None:
        self._agent = agent
        self._workers = workers

    async def execute(self, run: RunContext) -> AttemptOutput:
        """Call the function and wait until it has ended, cancelled or not."""
        work = self._workers.submit(partial(self._agent, run))
        cancelled: asyncio.CancelledError | None = None
        while not work.future.done():
            try:
                await asyncio.wait([work.future])
            except asyncio.CancelledError as error:
                if work.given_up or self._workers.withdraw(work):
                    raise
                if run.fenced:
                    self._workers.give_up(work)
                cancelled = error
        await self._close(run)
        if cancelled is not None:
            work.future.exception()  # it was asked to end, and how it did does not matter
            raise cancelled
        return AttemptOutput(work.future.result())


FLUSH_EVERY = 64
"""Frames after which an agent that never waits lets the others have the loop."""


def executor_of(agent: Any, workers: Workers) -> Any:
    """The executor for an agent that is a function.

    Raises:
        InvalidValue: it is no function that takes the run.

    """
    call = agent if inspect.isroutine(agent) else getattr(agent, "__call__", None)  # noqa: B004
    if inspect.isasyncgenfunction(agent) or inspect.isasyncgenfunction(call):
        return GeneratorExecutor(agent)
    if inspect.iscoroutinefunction(agent) or inspect.iscoroutinefunction(call):
        return CoroutineExecutor(agent)
    if callable(agent) and not isinstance(agent, type):
        return FunctionExecutor(agent, workers)
    raise InvalidValue(
        "agent",
        agent,
        "give an async generator, coroutine or plain function that takes the run, "
        "a LangGraph graph, or an Executor",
    )


def _as_frame(item: Any) -> tuple[str, Any]:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        return item
    return "values", item
