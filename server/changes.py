"""Runs that come and changes of a thread's state, kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from .errors import Refused


class _Door:
    """One thread: runs pass it side by side, changes one at a time, and never both."""

    __slots__ = ("__weakref__", "admitting", "changing")

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
        self.admitting = 0


class Changes:
    """Sees that no run is admitted while its thread's state is changed, nor the reverse.

    Otherwise a change that was let in because nothing was in flight writes beside a run, and of
    two changes at once that start from the same state one is lost.
    """

    def __init__(self) -> None:
        self._doors: WeakValueDictionary[str, _Door] = WeakValueDictionary()

    def _door(self, thread_id: str) -> _Door:
        door = self._doors.get(thread_id)
        if door is None:
            door = self._doors[thread_id] = _Door()
        return door

    @asynccontextmanager
    async def admitting(self, thread_id: str) -> AsyncIterator[None]:
        """A run is being admitted: when no change is under way any more."""
        door = self._door(thread_id)
        while door.changing.locked():
            async with door.changing:
                pass
        door.admitting += 1
        try:
            yield
        finally:
            door.admitting -= 1

    @asynccontextmanager
    async def changing(self, thread_id: str) -> AsyncIterator[None]:
        """The state is being changed: one change after the other.

        Raises:
            Refused: a run is being admitted.

        """
        door = self._door(thread_id)
        async with door.changing:
            if door.admitting:
                raise Refused(409, "A run is being created on the thread: wait for it.")
            yield
