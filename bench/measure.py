"""How the benchmarks measure: ours and the peer in turns, in one process, median of rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Args:
        claim: what is compared with what.
        ours: our figure.
        peer: the peer's figure, or the limit.
        unit: of both.
        ratio: the figure the target is about.
        target: what the ratio should reach; negative means "at most".

    """

    claim: str
    ours: float
    peer: float
    unit: str
    ratio: float
    target: float

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.ratio >= self.target if self.target > 0 else self.ratio <= -self.target

    def __str__(self) -> str:
        sign = ">=" if self.target > 0 else "<="
        verdict = "ok" if self.reached else "MISSED"
        return (
            f"{self.claim:<58} {self.ours:>12,.1f} {self.peer:>12,.1f} {self.unit:<9} "
            f"{self.ratio:>8.2f} {sign} {abs(self.target):<5g} {verdict}"
        )


HEADER = f"{'':<58} {'ours':>12} {'peer/limit':>12} {'':<9} {'ratio':>8}    target"


async def rate(work: Callable[[], Awaitable[int]]) -> float:
    """Operations a second of one go; `work` returns how many it did."""
    began = time.perf_counter()
    done = await work()
    return done / (time.perf_counter() - began)


async def in_turns(
    ours: Callable[[], Awaitable[int]], peer: Callable[[], Awaitable[int]], rounds: int
) -> tuple[float, float, float]:
    """Median rates of both, and the median of their ratios, round by round."""
    pairs = [(await rate(ours), await rate(peer)) for _ in range(rounds)]
    return (
        statistics.median(one for one, _ in pairs),
        statistics.median(two for _, two in pairs),
        statistics.median(one / two for one, two in pairs),
    )
