"""Seeds, many of them: as long as you have time for."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context

import structlog

from .simulation import no_collection
from .world import Plan, Report, World

_CHUNK = 50
"""Seeds that a process simulates in one go."""


@dataclass(slots=True)
class Totals:
    """What a soak amounts to."""

    seeds: int = 0
    steps: int = 0
    messages: int = 0
    seconds: float = 0.0
    """Virtual ones."""
    lives: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    broken: dict[int, str] = field(default_factory=dict)
    """The seeds that broke a promise, and the first one each of them broke."""

    @classmethod
    def of(cls, report: Report) -> Totals:
        """One simulation."""
        first = report.violations[0] if report.violations else None
        return cls(
            seeds=1,
            steps=report.steps,
            messages=report.turns,
            seconds=report.seconds,
            lives=report.lives,
            faults=Counter(report.faults),
            checked=Counter(report.checked),
            broken={} if first is None else {report.plan.seed: f"{first.rule}: {first.story}"},
        )

    def add(self, other: Totals) -> None:
        """Take in what was done elsewhere."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.messages += other.messages
        self.seconds += other.seconds
        self.lives += other.lives
        self.faults += other.faults
        self.checked += other.checked
        self.broken |= other.broken

    def __str__(self) -> str:
        return (
            f"{self.seeds:,} seeds, {self.steps:,} steps, {self.messages:,} messages, "
            f"{self.lives:,} processes, {self.seconds / 3600:,.1f} virtual hours, "
            f"{self.faults.total():,} faults, {self.checked.total():,} checks of "
            f"{len(self.checked)} rules, {len(self.broken)} violations"
        )


def soak_seeds(seeds: Iterable[int]) -> Totals:
    """Simulate these seeds, one after the other."""
    totals = Totals()
    with no_collection():
        for seed in seeds:
            totals.add(Totals.of(World(Plan.of(seed)).run()))
    return totals


def soak(
    seconds: float,
    first: int,
    jobs: int | None = None,
    told: Callable[[Totals, float], None] = lambda totals, elapsed: None,
) -> Totals:
    """Simulate seeds from `first` on, until the time is up or a promise is broken.

    Args:
        seconds: real ones.
        first: the first seed.
        jobs: processes to use; one a core by default.
        told: is called with what there is so far, and the seconds it took.

    """
    began, totals = time.monotonic(), Totals()
    chunks = _chunks(first)
    workers = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(workers, get_context("spawn"), be_quiet) as pool:
        running: set[Future[Totals]] = {
            pool.submit(soak_seeds, next(chunks)) for _ in range(workers)
        }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                totals.add(each.result())
            elapsed = time.monotonic() - began
            told(totals, elapsed)
            if elapsed < seconds and not totals.broken:
                running |= {pool.submit(soak_seeds, next(chunks)) for _ in done}
    return totals


def _chunks(first: int) -> Iterator[range]:
    return (range(start, start + _CHUNK) for start in count(first, _CHUNK))


def be_quiet() -> None:
    """Log nothing: faults that are wanted are no news."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
