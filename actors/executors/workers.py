"""OS threads for plain agents.

Not a `ThreadPoolExecutor`: that one is joined when the interpreter exits, and an agent
that never returns would keep the process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Job:
    """A call and the future of its result, which lives on a loop."""

    __slots__ = ("call", "future", "given_up", "loop")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.given_up = False

    def work(self) -> None:
        """Call it, in an OS thread, and settle the future on its loop."""
        try:
            value, error = self.call(), None
        except BaseException as raised:  # noqa: BLE001 - it is the caller's
            value, error = None, raised
        try:
            self.loop.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:  # the loop has closed: nobody waits any more
            return

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        elif isinstance(error, StopIteration):  # asyncio refuses to carry one
            self.future.set_exception(RuntimeError(f"agent raised {error!r}"))
        else:
            self.future.set_exception(error)


class Workers:
    """Runs functions in daemon OS threads, which are kept for the next ones.

    Args:
        limit: most OS threads at a time; further calls wait. One that is `given_up` no
            longer counts.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._threads = 0
        self.ghosts = 0
        """OS threads that execute a job that was given up."""
        self._idle = 0
        self._closed = False

    def submit(self, function: Callable[[], Any]) -> Job:
        """Call `function` in a worker, in a copy of the current context.

        Returns:
            the job; its `future` lives on the running loop, and cancelling that does not
            stop the function.

        Raises:
            RuntimeError: there is no OS thread for it, and the system gives none.

        """
        context = contextvars.copy_context()
        job = Job(lambda: context.run(function), asyncio.get_running_loop())
        with self._lock:
            if self._idle > len(self._jobs):
                self._work.notify()
            elif self._threads - self.ghosts < self._limit:
                self._start()
            self._jobs.append(job)
        return job

    def withdraw(self, job: Job) -> bool:
        """Do not begin a job. Returns whether that was still possible."""
        with self._lock:
            if job not in self._jobs:
                return False
            self._jobs.remove(job)
        job.future.cancel()
        return True

    def give_up(self, job: Job) -> None:
        """Expect nothing of a job any more: another OS thread may take its place."""
        with self._lock:
            if job.given_up or job.future.done():
                return
            job.given_up = True
            self.ghosts += 1
            if self._jobs:
                with suppress(RuntimeError):  # the system gives no OS thread: the next one waits
                    self._start()

    def close(self) -> None:
        """Let the idle workers end. Those at work end when their function returns."""
        with self._lock:
            self._closed = True
            self._work.notify_all()

    def _start(self) -> None:
        name = f"callboard-worker-{self._threads + 1}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._threads += 1

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            job.work()
            if job.given_up:
                with self._lock:
                    self.ghosts -= 1
            del job

    def _next(self) -> Job | None:
        with self._lock:
            while not self._jobs:
                if self._closed:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._work.wait()
                self._idle -= 1
            return self._jobs.popleft()
