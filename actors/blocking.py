"""The runtime for hosts without an event loop: it runs one in an OS thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ..domain.errors import RuntimeClosed, RuntimeStarted, WouldDeadlock
from ..domain.supervision import Health, SupervisionEvent
from ..domain.views import Frame, RunSnapshot
from ..store.ports import Store
from .control import SupervisorControl
from .handles import Observation
from .runtime import Runtime

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


_REMEDIES = {"not started": "call start(), or use it in a with block", "closed": "make a new one"}
"""What to do with one that does not answer."""


class _Loop:
    """An event loop in an OS thread of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._asked: set[Future[Any]] = set()
        """Calls that are not answered yet."""
        self._state = "not started"

    def start(self) -> None:
        self._loop, self._state = asyncio.new_event_loop(), "running"
        self._thread = threading.Thread(
            target=self._run, args=(self._loop,), name="callboard-loop", daemon=True
        )
        self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            with self._lock:
                self._state = "closed"
            self._let_go(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _let_go(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever asked at the last moment is told that nobody answers any more."""
        _turn(loop)  # what they asked for begins, or is never awaited
        for future in tuple(self._asked):
            future.cancel()
        _turn(loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        if self._thread is not None and threading.get_ident() == self._thread.ident:
            work.close()
            raise WouldDeadlock
        with self._lock:
            if self._loop is None or self._state != "running":
                work.close()
                raise RuntimeClosed(self._state, _REMEDIES[self._state])
            future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
            self._asked.add(future)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeClosed("closed", _REMEDIES["closed"]) from None
        except BaseException:
            future.cancel()
            raise
        finally:
            self._asked.discard(future)

    def stop(self) -> None:
        """End the loop and its OS thread."""
        if self._loop is not None and self._thread is not None:
            with suppress(RuntimeError):  # somebody else has stopped it
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    loop.run_forever()


def _blocking(
    method: Callable[Concatenate[C, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Any, P], T]:
    """The same method, waiting for the answer in the calling OS thread."""

    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.call(method(self._target, *args, **kwargs))  # type: ignore[no-any-return]

    call.__name__ = method.__name__
    call.__doc__ = method.__doc__
    return call


class BlockingSupervisor:
    """`runtime.supervisor`, blocking."""

    def __init__(self, target: SupervisorControl, loop: _Loop) -> None:
        self._target = target
        self._loop = loop

    tree = _blocking(SupervisorControl.tree)
    restart = _blocking(SupervisorControl.restart)
    fail = _blocking(SupervisorControl.fail)
    stop_thread = _blocking(SupervisorControl.stop_thread)
    recover = _blocking(SupervisorControl.recover)

    def health(self) -> Health:
        """Whether the runtime works, and what is wrong if it does not. Never raises."""
        try:
            return self._loop.call(self._target.health())
        except RuntimeClosed as error:
            return Health(ok=False, state=error.state, problems=(str(error),))

    def policy_for(self, assistant_id: str) -> Any:
        """When attempts of this agent are tried again."""
        return self._loop.call(_soon(self._target.policy_for, assistant_id))

    def subscribe(self) -> Iterator[SupervisionEvent]:
        """Follow what the supervisor notices and does, from now on."""
        events = self._loop.call(_soon(self._target.subscribe))
        return _iterate(self._loop, events.__anext__)


class BlockingRuntime:
    """`Runtime`, blocking. A context manager; safe to use from many OS threads.

    Args:
        agents: as for `Runtime`.
        store: as for `Runtime`.
        options: as for `Runtime`.

    """

    def __init__(
        self,
        agents: Mapping[str, Any] | None = None,
        store: Store | str | None = None,
        **options: Any,
    ) -> None:
        self._target = Runtime(agents, store, **options)
        self._loop = _Loop()
        self._started = False
        self.supervisor = BlockingSupervisor(self._target.supervisor, self._loop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(0.0 if error is not None else None)

    def start(self) -> None:
        """Start the OS thread and the runtime in it.

        Raises:
            RuntimeStarted: it was started before.

        """
        if self._started:
            raise RuntimeStarted
        self._started = True
        self._loop.start()
        try:
            self._loop.call(self._target.start())
        except BaseException:
            self._loop.stop()
            self._started = False
            raise

    def close(self, timeout: float | None = None) -> None:
        """Drain, end everything, and end the OS thread. Idempotent.

        Args:
            timeout: seconds to let runs finish; `None` takes `drain_timeout`.

        """
        if self.state in ("closed", "not started"):
            return
        try:
            self._loop.call(self._target.aclose(timeout))
        finally:
            self._loop.stop()

    @property
    def state(self) -> str:
        """As of `Runtime`."""
        return self._target.state

    create_run = _blocking(Runtime.create_run)
    create_and_wait = _blocking(Runtime.create_and_wait)
    wait = _blocking(Runtime.wait)
    cancel = _blocking(Runtime.cancel)
    cancel_many = _blocking(Runtime.cancel_many)
    delete_run = _blocking(Runtime.delete_run)
    cleanup = _blocking(Runtime.cleanup)
    get_run = _blocking(Runtime.get_run)
    list_runs = _blocking(Runtime.list_runs)
    list_in_flight = _blocking(Runtime.list_in_flight)
    list_messages = _blocking(Runtime.list_messages)
    list_events = _blocking(Runtime.list_events)
    aggregate_tokens = _blocking(Runtime.aggregate_tokens)
    thread_status = _blocking(Runtime.thread_status)
    create_thread = _blocking(Runtime.create_thread)
    get_thread = _blocking(Runtime.get_thread)
    search_threads = _blocking(Runtime.search_threads)
    count_threads = _blocking(Runtime.count_threads)
    update_thread = _blocking(Runtime.update_thread)
    delete_thread = _blocking(Runtime.delete_thread)
    require_thread = _blocking(Runtime.require_thread)
    prune = _blocking(Runtime.prune)
    drain = _blocking(Runtime.drain)

    def stream(self, run_id: str, *args: Any, **kwargs: Any) -> Iterator[Frame]:
        """Follow a run's frames, as `Runtime.stream`."""
        frames = self._target.stream(run_id, *args, **kwargs)
        return _iterate(self._loop, frames.__anext__, frames.aclose)

    def create_and_stream(
        self, thread_id: str | None, assistant_id: str, **options: Any
    ) -> Iterator[Frame]:
        """Admit a run and follow its frames; `on_disconnect` defaults to `cancel`."""
        stream = self._loop.call(self._target.create_and_stream(thread_id, assistant_id, **options))
        return _iterate(self._loop, stream.frames.__anext__, stream.aclose)

    def recall(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """As `Runtime.recall`."""
        return self._loop.call(_soon(self._target.recall, run_id, user_id=user_id))

    def while_idle(self, thread_id: str, work: Callable[[], T], *, user_id: str | None = None) -> T:
        """As `Runtime.while_idle`; the work is a plain function, called in an OS thread."""
        call = partial(asyncio.to_thread, work)
        return self._loop.call(self._target.while_idle(thread_id, call, user_id=user_id))

    def register(self, name: str, agent: Any, restart: Any = None) -> None:
        """As `Runtime.register`."""
        self._target.register(name, agent, restart)

    def observe(
        self,
        observer: Any,
        required: bool = False,
        name: str | None = None,
        *,
        replay: bool = False,
    ) -> Observation:
        """As `Runtime.observe`; the observer is called in the runtime's OS thread."""
        if not self._started:
            return self._target.observe(observer, required, name, replay=replay)
        observe = self._target.observe
        return self._loop.call(_soon(observe, observer, required, name, replay=replay))

    def forget_observer(self, name: str) -> None:
        """As `Runtime.forget_observer`."""
        if self._started:
            self._loop.call(_soon(self._target.forget_observer, name))
        else:
            self._target.forget_observer(name)


async def _soon(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    return function(*args, **kwargs)


def _iterate(
    loop: _Loop,
    following: Callable[[], Coroutine[Any, Any, T]],
    close: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> Iterator[T]:
    try:
        while True:
            try:
                item = loop.call(following())
            except StopAsyncIteration:
                return
            yield item
    finally:
        if close is not None:
            loop.call(close())
