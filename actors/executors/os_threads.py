"""The calls an async agent makes in OS threads, which outlive the task that made them.

Cancelling a task that awaits `loop.run_in_executor` gives up the wait, not the work: the
OS thread goes on. A run must not be reported ended while such a call executes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any


class _Call:
    """A function on its way through an executor.

    It is called in an OS thread and abandoned on the loop; the lock decides between the
    two when they meet.
    """

    __slots__ = ("_abandoned", "_ended", "_function", "_lock", "_loop", "_started")

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self._loop = loop
        self._lock = threading.Lock()
        self._started = False
        self._abandoned = False
        self._ended: asyncio.Future[None] = loop.create_future()

    def __call__(self) -> Any:
        with self._lock:
            if self._abandoned:
                return None
            self._started = True
        try:
            return self._function()
        finally:
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._end)

    def abandon(self) -> asyncio.Future[None] | None:
        """Keep it from starting; where it has started, the future of its end."""
        with self._lock:
            self._abandoned = True
            return self._ended if self._started else None

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


class OsThreadCalls:
    """Keeps account of calls that still execute although nobody awaits them any more.

    Covers what goes through `loop.run_in_executor` to an OS thread: plain nodes, plain
    tools, blocking models, `asyncio.to_thread`. OS threads that the agent starts by
    itself are its own business. Lives on one event loop.
    """

    __slots__ = ("_abandoned", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._abandoned: set[asyncio.Future[None]] = set()

    def watch(self) -> None:
        """Account for the calls of the current task and of the tasks it starts."""
        _observe(self._loop)
        _CALLS.set(self)

    @property
    def abandoned(self) -> frozenset[asyncio.Future[None]]:
        """The ends of the calls that nobody awaits and that still execute."""
        return frozenset(self._abandoned)

    def submit(
        self, submit: Callable[..., asyncio.Future[Any]], executor: Executor | None, call: _Call
    ) -> asyncio.Future[Any]:
        """Have `submit` execute the call, and account for it."""
        future = submit(executor, call)
        future.add_done_callback(partial(self._settled, call))
        return future

    def _settled(self, call: _Call, future: asyncio.Future[Any]) -> None:
        if future.cancelled() and (ended := call.abandon()) is not None and not ended.done():
            self._abandoned.add(ended)
            ended.add_done_callback(self._abandoned.discard)


_CALLS: ContextVar[OsThreadCalls | None] = ContextVar("callboard_os_thread_calls", default=None)


def _observe(loop: asyncio.AbstractEventLoop) -> None:
    """Let `loop.run_in_executor` tell the account of the task that calls it.

    It is shadowed on the loop itself, once and for good: whoever has no account finds it
    unchanged. A default executor of ours would displace the host's.
    """
    submit = loop.run_in_executor
    if getattr(submit, "tells_callboard", False):
        return

    def run_in_executor(
        executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        calls = _CALLS.get()
        if calls is None or not isinstance(executor, ThreadPoolExecutor | None):
            return submit(executor, func, *args)
        return calls.submit(submit, executor, _Call(partial(func, *args), loop))

    run_in_executor.tells_callboard = True  # type: ignore[attr-defined]
    loop.run_in_executor = run_in_executor  # type: ignore[method-assign,assignment]
