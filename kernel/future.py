"""The answer to an `ask`: awaited on any event loop, or got from any other OS thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from ..domain.errors import WouldDeadlock

if TYPE_CHECKING:
    from .mailbox import Mailbox

T = TypeVar("T")

_POLL = 0.2
"""Seconds between two looks whether the answering loop still lives."""


class LoopFuture(asyncio.Future[T], pykka.Future[T]):
    """A Pykka future that lives on the event loop of the actor that answers it.

    It is settled on that loop's OS thread. Awaiting it there costs what any asyncio
    future costs; awaiting it on another loop, or `get()` from another OS thread, goes
    through a thread-safe hand-over.
    """

    _get_hook: Callable[[float | None], T] | None = None
    owner: Mailbox | None = None
    """The actor that took the reply upon itself, while it owes it."""
    _thread_id: int

    def __init__(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        asyncio.Future.__init__(self, loop=loop)
        self._thread_id = thread_id

    def __repr__(self) -> str:
        return "<callboard LoopFuture>"

    def __await__(self) -> Generator[Any, None, T]:
        if self._get_hook is not None:
            return asyncio.to_thread(self.get).__await__()
        if threading.get_ident() != self._thread_id and not self.done():
            return self._await_elsewhere().__await__()
        return asyncio.Future.__await__(self)

    __iter__ = __await__

    async def _await_elsewhere(self) -> T:
        loop, here = self.get_loop(), asyncio.get_running_loop()
        settled = here.create_future()

        def wake(_: asyncio.Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there
                here.call_soon_threadsafe(_settle, settled)

        try:
            loop.call_soon_threadsafe(self.add_done_callback, wake)
        except RuntimeError as error:
            raise _loop_closed() from error
        while not settled.done() and not loop.is_closed():
            await asyncio.wait([settled], timeout=_POLL)
        if not self.done():
            raise _loop_closed()
        return self.result()

    def get(self, *, timeout: float | None = None) -> T:
        """Block until the answer is there.

        Args:
            timeout: seconds to wait; `None` is for ever.

        Raises:
            WouldDeadlock: this is the OS thread that must produce the answer.
            pykka.Timeout: the time is over.
            pykka.ActorDeadError: the answering event loop has closed.
            Exception: what the actor answered with.

        """
        if self._get_hook is not None:
            return self._get_hook(timeout)
        if not self.done():
            if threading.get_ident() == self._thread_id:
                raise WouldDeadlock
            self._block(timeout)
        return self.result()

    def _block(self, timeout: float | None) -> None:
        settled = threading.Event()
        loop = self.get_loop()
        try:
            loop.call_soon_threadsafe(self.add_done_callback, lambda _: settled.set())
        except RuntimeError as error:
            raise _loop_closed() from error
        remaining = timeout
        while not settled.wait(_POLL if remaining is None else min(_POLL, remaining)):
            if remaining is not None:
                remaining -= _POLL
                if remaining <= 0:
                    raise pykka.Timeout(f"{timeout} seconds")
            if loop.is_closed():  # a callback may have been lost, an answer not
                break
        if not self.done():
            raise _loop_closed()

    def set(self, value: Any = None) -> None:
        """Answer with `value`. Ignored when the asker has gone away.

        Raises:
            asyncio.InvalidStateError: it was answered already.

        """
        if threading.get_ident() != self._thread_id:
            try:
                self.get_loop().call_soon_threadsafe(self.set, value)
            except RuntimeError:  # the loop is closed: nobody else touches this any more
                self.set_result(value)
        elif not self.cancelled():
            self._disown()
            self.set_result(value)

    def set_exception(self, exc_info: Any = None, /) -> None:
        """Answer with an exception. Ignored when the asker has gone away.

        Args:
            exc_info: an exception, a `sys.exc_info()` triple, or `None` for the exception
                that is being handled.

        Raises:
            asyncio.InvalidStateError: it was answered already.

        """
        error = _exception(exc_info)
        if threading.get_ident() != self._thread_id:
            try:
                self.get_loop().call_soon_threadsafe(self.set_exception, error)
            except RuntimeError:  # the loop is closed: nobody else touches this any more
                asyncio.Future.set_exception(self, error)
                self._log_traceback = False
        elif not self.cancelled():
            self._disown()
            asyncio.Future.set_exception(self, error)
            self._log_traceback = False

    def cancel(self, msg: Any = None) -> bool:
        """The asker has gone away: nobody owes it anything any more."""
        self._disown()
        return asyncio.Future.cancel(self, msg)

    def _disown(self) -> None:
        if self.owner is not None:
            self.owner.forget_reply(self)
            self.owner = None

    def derive(
        self, sources: Sequence[LoopFuture[Any]], combine: Callable[[list[Any]], Any]
    ) -> LoopFuture[Any]:
        """A future of what `combine` makes of the values of `sources`."""
        result: LoopFuture[Any] = LoopFuture(self.get_loop(), self._thread_id)
        waiting = len(sources)

        def settle(_: asyncio.Future[Any]) -> None:
            nonlocal waiting
            waiting -= 1
            if waiting or result.done():
                return
            try:
                result.set(combine([source.result() for source in sources]))
            except asyncio.CancelledError:
                result.cancel()
            except Exception as error:  # noqa: BLE001 - it is the derived future's answer
                result.set_exception(error)

        for source in sources:
            source._when_done(settle)
        return result

    def settled(self, read: Callable[[BaseException | None], Any]) -> LoopFuture[Any]:
        """A future of what `read` makes of the exception, or of `None` for a value."""
        result: LoopFuture[Any] = LoopFuture(self.get_loop(), self._thread_id)

        def settle(_: asyncio.Future[Any]) -> None:
            error = asyncio.CancelledError() if self.cancelled() else self.exception()
            result.set(read(error))

        self._when_done(settle)
        return result

    def _when_done(self, callback: Callable[[asyncio.Future[Any]], None]) -> None:
        if threading.get_ident() == self._thread_id:
            self.add_done_callback(callback)
            return
        try:
            self.get_loop().call_soon_threadsafe(self.add_done_callback, callback)
        except RuntimeError:  # the loop is closed: nobody else touches this any more
            if not self.done():
                self.set_exception(_loop_closed())
            callback(self)

    def filter(self, func: Callable[[Any], bool]) -> Any:
        """A future of those items of the value for which `func` holds."""
        return self.derive([self], lambda values: list(filter(func, values[0])))

    def join(self, *futures: Any) -> Any:
        """A future of the list of all the values."""
        return self.derive([self, *futures], list)

    def map(self, func: Callable[[T], Any]) -> Any:
        """A future of `func(value)`."""
        return self.derive([self], lambda values: func(values[0]))

    def reduce(self, func: Callable[[Any, Any], Any], *args: Any) -> Any:
        """A future of the items of the value, folded with `func`."""
        return self.derive([self], lambda values: functools.reduce(func, values[0], *args))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _exception(exc_info: Any) -> BaseException:
    if exc_info is None:
        exc_info = sys.exc_info()
    if isinstance(exc_info, tuple):
        kind, value, traceback = exc_info
        error = value if value is not None else kind()
        exc_info = error.with_traceback(traceback) if traceback else error
    if not isinstance(exc_info, BaseException):
        raise TypeError(f"{exc_info!r} is no exception")
    if isinstance(exc_info, StopIteration):  # asyncio refuses to carry one
        wrapped = RuntimeError(f"actor raised {exc_info!r}")
        wrapped.__cause__ = exc_info
        return wrapped
    return exc_info


def _loop_closed() -> pykka.ActorDeadError:
    return pykka.ActorDeadError(
        "the event loop of the actor that was asked has closed; no answer will come"
    )
