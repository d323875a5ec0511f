"""The abort signal that an agent can look at, from the loop and from any OS thread."""

from __future__ import annotations

import asyncio
import threading

from ..domain.enums import CancelAction
from ..domain.errors import RunAborted


class AbortSignal:
    """Whether a run has been asked to end early, and how.

    Set by the run's actor alone, once; a later `rollback` upgrades the action. It stays
    set for all attempts of the run.
    """

    __slots__ = ("_action", "_lock", "_loop", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._action: CancelAction | None = None
        self._waiters: list[asyncio.Future[None] | threading.Event] = []
        self._lock = threading.Lock()

    @property
    def requested(self) -> bool:
        """Whether the run should end."""
        return self._action is not None

    @property
    def action(self) -> CancelAction | None:
        """What becomes of the run's work; `None` while no abort is requested."""
        return self._action

    async def wait(self) -> CancelAction:
        """Wait for the abort, on the runtime's event loop.

        Returns:
            the action at that moment.

        """
        if self._action is None:
            woken: asyncio.Future[None] = self._loop.create_future()
            with self._lock:
                self._waiters.append(woken)
            try:
                await woken
            finally:
                self._forget(woken)
        return self._action or CancelAction.INTERRUPT

    def wait_blocking(self, timeout: float | None = None) -> bool:
        """Wait for the abort in an OS thread of one's own.

        Args:
            timeout: seconds to wait; `None` is for ever.

        Returns:
            whether an abort is requested.

        """
        woken = threading.Event()
        with self._lock:
            if self._action is not None:
                return True
            self._waiters.append(woken)
        try:
            woken.wait(timeout)
        finally:
            self._forget(woken)
        return self.requested

    def raise_if_requested(self) -> None:
        """Leave the agent when it has been asked to.

        Raises:
            RunAborted: an abort is requested.

        """
        if self._action is not None:
            raise RunAborted(self._action)

    def request(self, action: CancelAction) -> None:
        """Set the signal; for the run's actor."""
        with self._lock:
            self._action = action
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if isinstance(waiter, threading.Event):
                waiter.set()
            elif not waiter.done():
                waiter.set_result(None)

    def _forget(self, waiter: asyncio.Future[None] | threading.Event) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
