"""The lines of the table, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from ..measure import Row
from .contest import MEMORY, OURS, PEER, Outcome

LATENCIES = (
    ("thread", "runs.wait on one thread", 50),
    ("stateless", "runs.wait without a thread", 50),
    ("first", "runs.stream to the first event", 50),
    ("first of graph", "runs.stream to the graph's first event", 50),
)
RATES = (
    ("rate", "background runs, 50 threads, created and joined", 4),
    ("frames", "frames to one subscriber", 10),
)
COSTS = (
    ("cpu", "server's CPU a run, background", 3),
    ("wait cpu", "server's CPU a run, runs.wait", 3),
)
FLAT = 1.0
"""kB a run: its request, its record and its checkpoints are ten times that."""


def speed(outcome: Outcome) -> Iterator[Row | str]:
    """The lines about time."""
    for name, claim, target in LATENCIES:
        yield from _compared(outcome, name, f"{claim}, p50", "ms", outcome.times(name), target)
        yield _plain(outcome, name, "  p99", "ms", at=0.99)
        yield _plain(outcome, name, "  p50, in memory", "ms", ours=MEMORY)
    for name, claim, target in RATES:
        yield from _compared(outcome, name, claim, "1/s", 1 / outcome.times(name), target)
        yield _plain(outcome, name, "  in memory", "1/s", ours=MEMORY)
    for name, claim, target in COSTS:
        yield from _compared(outcome, name, claim, "ms", outcome.times(name), target)
        yield _plain(outcome, name, "  in memory", "ms", ours=MEMORY)
    yield _plain(outcome, "client cpu", "  the client's own, background", "ms")


def _compared(
    outcome: Outcome, name: str, claim: str, unit: str, times: float, target: float
) -> Iterator[Row]:
    mine, theirs = (median(outcome.pooled(server, name)) for server in (OURS, PEER))
    yield Row(claim, mine, theirs, unit, times, target)


def memory(outcome: Outcome) -> Iterator[Row | str]:
    """The lines about memory."""
    kept, theirs = (outcome.pooled(server, "kept")[0] for server in (OURS, PEER))
    yield Row("memory a kept run, at most 1", kept, theirs, "kB", kept, -FLAT)
    yield _plain(outcome, "kept", "  in memory", "kB", ours=MEMORY)
    yield _plain(outcome, "threads", "memory for 1,000 idle threads", "kB")
    yield _plain(outcome, "threads", "  in memory", "kB", ours=MEMORY)
    yield _plain(outcome, "resident", "memory at the start", "MB")


def _plain(
    outcome: Outcome, name: str, claim: str, unit: str, *, ours: str = OURS, at: float = 0.5
) -> str:
    """A line in the columns of a `Row`, without a target."""
    mine, theirs = (_quantile(outcome.pooled(server, name), at) for server in (ours, PEER))
    return f"{claim:<58} {mine:>12,.1f} {theirs:>12,.1f} {unit}"


def _quantile(values: list[float], at: float) -> float:
    return median(values) if at == 0.5 else values[min(len(values) - 1, int(len(values) * at))]
