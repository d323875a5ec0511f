"""Where a simulation takes its decisions from."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeVar

T = TypeVar("T")


class Picker(Protocol):
    """Decides what comes next, where several things may."""

    def below(self, limit: int) -> int:
        """A whole number from 0 up to but not including `limit`."""
        ...


class Choices:
    """One stream of decisions, drawn from a seed.

    Several streams with names of their own do not disturb each other: what is left out of
    one does not change what the others decide.

    Args:
        seed: the same seed gives the same decisions, on every machine.
        name: tells the streams of one seed apart.

    """

    __slots__ = ("_random",)

    def __init__(self, seed: int, name: str) -> None:
        # Seeded with text, which `Random` digests with SHA-512: no hash of this process.
        self._random = Random(f"{seed}/{name}")  # noqa: S311 - nothing secret is made of it

    def below(self, limit: int) -> int:
        """A whole number from 0 up to but not including `limit`."""
        return self._random.randrange(limit)

    def happens(self, probability: float) -> bool:
        """Whether something of that probability happens."""
        return self._random.random() < probability

    def between(self, low: float, high: float) -> float:
        """A number, evenly spread, rounded to milliseconds."""
        return round(self._random.uniform(low, high), 3)

    def among(self, things: Sequence[T]) -> T:
        """One of them."""
        return things[self._random.randrange(len(things))]

    def weighted(self, things: Sequence[tuple[float, T]]) -> T:
        """One of them, by weight."""
        weights = [weight for weight, _ in things]
        return self._random.choices([thing for _, thing in things], weights)[0]
