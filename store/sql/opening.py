"""The time between a store's `open` and its `close`."""

from __future__ import annotations

import asyncio
import os

from ...domain.store_errors import StoreUnavailable


class Opening:
    """Whether a store is open: in this very process, on an event loop that lives.

    A child made by `os.fork` has its parent's connections, but neither the OS threads nor the
    locks that belong to them: whatever it gave them to do would wait for ever.
    """

    __slots__ = ("_loop", "_process")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def begin(self) -> None:
        """It is open from now on, on the running loop."""
        self._loop, self._process = asyncio.get_running_loop(), os.getpid()

    def end(self) -> None:
        """It is closed from now on."""
        self._loop, self._process = None, 0

    @property
    def is_here(self) -> bool:
        """Whether this process opened it and has not closed it."""
        return self._process == os.getpid()

    @property
    def is_open(self) -> bool:
        """Whether it can be used: it is here, and its event loop has not ended."""
        return self.is_here and self._loop is not None and not self._loop.is_closed()

    def check(self, what: str) -> None:
        """Let nobody in while it is not open.

        Raises:
            StoreUnavailable: it is not.

        """
        if self.is_open:
            return
        if self._process not in (0, os.getpid()):
            raise StoreUnavailable(
                what, f"it was opened by process {self._process}, from which this one was forked"
            )
        raise StoreUnavailable(what, "the store is not open")
