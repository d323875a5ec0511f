"""An event loop without I/O and OS threads, in which chance picks what runs next."""

from __future__ import annotations

import asyncio
import warnings
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from ..virtual_time import Stuck
from .choices import Picker

T = TypeVar("T")


class ProcessDied(BaseException):
    """The simulated process is no more: raised out of the loop between two of its steps."""


class _Ready(deque[asyncio.Handle]):
    """What the loop may run next. Each removal is a step of the simulation.

    Any step of a task may come before any other, because what tasks wait for takes as long
    as it takes. Plain callbacks keep their order, as asyncio promises.
    """

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> asyncio.Handle:
        loop = self._loop
        if loop.on_step is not None:
            loop.on_step()
        loop.steps += 1
        if loop.picker is None or len(self) == 1:
            handle = super().popleft()
        else:
            handle = self._take(loop.picker.below(len(self)))
        loop.latest = handle
        return handle

    def _take(self, index: int) -> asyncio.Handle:
        if not _is_task_step(self[index]):
            index = next(i for i, handle in enumerate(self) if not _is_task_step(handle))
        handle = self[index]
        del self[index]
        return handle


def _is_task_step(handle: asyncio.Handle) -> bool:
    callback: Any = handle._callback  # type: ignore[attr-defined]
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


class _NoDevices:
    """Stands where a loop has its selector: waiting is going on in time."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None = None) -> tuple[()]:
        on_idle = self._loop.on_idle
        if timeout != 0 and on_idle is not None and on_idle():
            return ()
        if timeout is None:
            raise Stuck("nothing is scheduled: everybody waits for somebody else")
        if timeout > 0:
            self._loop.pass_time(timeout)
        return ()


def no_os_thread(function: Callable[..., object]) -> NoReturn:
    """Refuse to call something in an OS thread."""
    raise RuntimeError(
        f"{function!r} wants an OS thread, and a simulated loop has none: "
        "give the simulation an async agent, or test with real time"
    )


class SimulatedLoop(BaseEventLoop):
    """A loop on virtual time. It runs callbacks and timers, and nothing else.

    It has no sockets, no subprocesses, no signals and no OS threads: what asks for one
    gets an error, because none of them happens the same way twice.

    Args:
        picker: decides which task goes on; `None` keeps asyncio's order.
        start: its time at the beginning, in seconds.

    """

    def __init__(self, picker: Picker | None = None, start: float = 0.0) -> None:
        self._now = start
        super().__init__()
        self.picker = picker
        self.steps = 0
        """How many callbacks and steps of tasks it has run."""
        self.on_step: Callable[[], None] | None = None
        """Called before each. What it raises ends the loop there and then."""
        self.latest: asyncio.Handle | None = None
        """The one that runs, or the one that ran last."""
        self.on_idle: Callable[[], bool] | None = None
        """Called before time passes, and before the loop is stuck; not if it brings something."""
        self._born: list[asyncio.Task[Any]] = []
        self._tidy_at = 1000
        self._selector = _NoDevices(self)
        self._ready = _Ready(self)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    @property
    def queued(self) -> int:
        """How many callbacks and steps of tasks it was ever given to run."""
        return self.steps + len(self._ready)

    def pass_time(self, seconds: float) -> None:
        """Go on in time. A little more than asked for: no timer is left a rounding error early."""
        self._now = round(self._now + seconds + 1e-9, 9)

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        if len(self._born) >= self._tidy_at:
            self._born = self.unfinished()
            self._tidy_at = 2 * len(self._born) + 1000
        self._born.append(task)
        return task

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, oldest first."""
        return [task for task in self._born if not task.done()]

    def live(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, then end the loop and every task that is left.

        Raises:
            ProcessDied: `on_step` raised it.
            Stuck: the coroutine waits for something that cannot happen.

        """
        asyncio.set_event_loop(self)
        try:
            return self.run_until_complete(work)
        finally:
            self.bury()
            asyncio.set_event_loop(None)
            self.close()

    def bury(self) -> None:
        """End every task where it stands, as the death of a process does."""
        self.on_step = self.on_idle = None
        with warnings.catch_warnings():
            # What was to be awaited never will be.
            warnings.simplefilter("ignore", RuntimeWarning)
            for task in self.unfinished():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine: Any = task.get_coro()
                with suppress(BaseException):  # what a dead agent says is heard by nobody
                    coroutine.close()
            self._ready.clear()
            self._scheduled: list[Any] = []

    # What BaseEventLoop leaves to loops with devices.

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002
        func: Callable[..., T],
        *args: object,  # noqa: ARG002
    ) -> asyncio.Future[T]:
        """There are no OS threads here."""
        no_os_thread(func)
