"""Time, randomness and ids: the one place where actors get them from."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import randbits
from typing import Protocol


class Clock(Protocol):
    """Tells the wall time."""

    def now(self) -> datetime:
        """Aware, UTC, and never before what it said last."""
        ...


class WallClock:
    """The machine's clock, except that it does not go back."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = datetime.now(UTC)

    def now(self) -> datetime:
        """Aware, UTC, and never before what it said last."""
        now = datetime.now(UTC)
        self._last = max(self._last, now)
        return self._last


class LoopClock:
    """A wall clock that follows an event loop's own time, virtual time included.

    Args:
        loop: the loop.
        epoch: the wall time at the loop's time 0.

    """

    __slots__ = ("_epoch", "_loop")

    def __init__(self, loop: AbstractEventLoop, epoch: datetime | None = None) -> None:
        self._loop = loop
        self._epoch = epoch or datetime(2000, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Aware, UTC; as monotonic as the loop's time."""
        return self._epoch + timedelta(seconds=self._loop.time())


class Entropy:
    """Chance and ids.

    Args:
        seed: with one, the same calls give the same answers; `None` takes a fresh one.

    """

    __slots__ = ("_random", "seed")

    def __init__(self, seed: int | None = None) -> None:
        self.seed = randbits(64) if seed is None else seed
        self._random = Random(self.seed)  # noqa: S311 - nothing secret is made of it

    def chance(self) -> float:
        """A number from 0 up to but not including 1."""
        return self._random.random()

    def below(self, limit: int) -> int:
        """A whole number from 0 up to but not including `limit`."""
        return self._random.randrange(limit)

    def new_id(self, at: datetime) -> str:
        """A UUID, version 7 (RFC 9562): ids made later sort later.

        Args:
            at: the time it is made.

        """
        milliseconds = int(at.timestamp() * 1000)
        chance = self._random.getrandbits(74)
        value = milliseconds << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62
        text = f"{value | (chance & (1 << 62) - 1):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
