"""How envelopes from other OS threads come to the kernel's loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from ..domain.errors import RuntimeBusy
from .mailbox import Envelope, Mailbox

Take = Callable[[Mailbox, Envelope[Any]], None]


class Inbound:
    """One queue for all other OS threads, and one wake-up of the loop for all its envelopes.

    Args:
        loop: the kernel's loop.
        context: what the taking runs in.
        capacity: envelopes that may wait.
        take: is given each envelope, on the loop.
        bounce: is given each envelope when the loop is closed.

    """

    __slots__ = ("_bounce", "_capacity", "_context", "_loop", "_queue", "_signalled", "_take")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        capacity: int,
        take: Take,
        bounce: Take,
    ) -> None:
        self._loop = loop
        self._context = context
        self._capacity = capacity
        self._take = take
        self._bounce = bounce
        self._queue: deque[tuple[Mailbox, Envelope[Any]]] = deque()
        self._signalled = False
        """True from the wake-up's order until its callback begins."""

    def put(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        """Hand an envelope over, from any OS thread.

        Raises:
            RuntimeBusy: too many wait; nothing was taken.

        """
        if len(self._queue) >= self._capacity:
            raise RuntimeBusy("the kernel's inbound queue", self._capacity)
        self._queue.append((mailbox, envelope))
        # The flag falls before the queue is emptied. So whoever sees it raised has put
        # its envelope there before the emptying, and no wake-up is lost.
        # A loop that closed before its callback ran will not let the flag fall.
        if self._signalled and not self._loop.is_closed():
            return
        self._signalled = True
        try:
            self._loop.call_soon_threadsafe(self.take, context=self._context)
        except RuntimeError:  # the loop is closed
            self.bounce()

    def take(self) -> None:
        """Take what is there, on the loop."""
        self._signalled = False
        for _ in range(len(self._queue)):
            self._take(*self._queue.popleft())
        if self._queue and not self._signalled:
            self._signalled = True
            self._loop.call_soon(self.take, context=self._context)

    def bounce(self) -> None:
        """Give back what is there: nobody will take it."""
        while True:
            try:
                mailbox, envelope = self._queue.popleft()
            except IndexError:  # asked first, it could still be taken by another OS thread
                return
            self._bounce(mailbox, envelope)
