"""An observer that counts, without a dependency."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..domain.enums import LifecycleEventType, RunStatus
from ..domain.events import RunLifecycleEvent

BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Upper bounds of the histograms' buckets, in seconds."""

_ENDS = {
    LifecycleEventType.RUN_COMPLETED: RunStatus.SUCCESS,
    LifecycleEventType.RUN_FAILED: RunStatus.ERROR,
    LifecycleEventType.RUN_CANCELLED: RunStatus.INTERRUPTED,
}
"""The status a run has ended with, where the event does not say which."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long something took, over all runs. All times are seconds."""

    count: int = 0
    total: float = 0.0
    shortest: float | None = None
    longest: float | None = None
    buckets: tuple[int, ...] = (0,) * len(BUCKETS)
    """How many took at most as long as the bound of the same index in `BUCKETS`."""

    @property
    def mean(self) -> float | None:
        """The average; `None` without any."""
        return self.total / self.count if self.count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatistics:
    """What a `MetricsObserver` has counted, at one moment."""

    created: int = 0
    started: int = 0
    restarted: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)
    """By status: `success`, `error`, `timeout`, `interrupted`."""
    stopped: Mapping[str, int] = field(default_factory=dict)
    """By stop reason, for runs that have one."""
    in_flight: int = 0
    queued: Durations = Durations()
    """From creation to start."""
    executed: Durations = Durations()
    """From start to end, all attempts and what was between them."""


class _Timer:
    """A histogram that grows."""

    __slots__ = ("_buckets", "_count", "_longest", "_shortest", "_total")

    def __init__(self) -> None:
        self._count = 0
        self._total = 0.0
        self._shortest: float | None = None
        self._longest: float | None = None
        self._buckets = [0] * (len(BUCKETS) + 1)

    def add(self, seconds: float) -> None:
        self._count += 1
        self._total += seconds
        self._shortest = seconds if self._shortest is None else min(self._shortest, seconds)
        self._longest = seconds if self._longest is None else max(self._longest, seconds)
        self._buckets[bisect_left(BUCKETS, seconds)] += 1

    def durations(self) -> Durations:
        below, buckets = 0, []
        for count in self._buckets[:-1]:
            below += count
            buckets.append(below)
        return Durations(self._count, self._total, self._shortest, self._longest, tuple(buckets))


class _Run:
    """What is kept of a run in flight."""

    __slots__ = ("created", "sequence", "started")

    def __init__(self) -> None:
        self.created: datetime | None = None
        self.started: datetime | None = None
        self.sequence = 0


class MetricsObserver:
    """Counts runs and times them. Read it with `statistics`.

    An event that is told again while its run is in flight counts once. What is kept of a
    run is dropped when it ends. A run that was created before the observer was bound is
    not counted; bind with `replay=True` to count those in the log.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._events: Counter[LifecycleEventType] = Counter()
        self._ended: Counter[str] = Counter()
        self._stopped: Counter[str] = Counter()
        self._queued = _Timer()
        self._executed = _Timer()

    def on_event(self, event: RunLifecycleEvent) -> None:
        """Count it."""
        run = self._runs.get(event.run_id)
        if run is None:
            if event.event_type is not LifecycleEventType.RUN_CREATED:
                return  # it was created before this observer was bound, or has ended
            run = self._runs[event.run_id] = _Run()
        if event.sequence <= run.sequence:
            return
        run.sequence = event.sequence
        self._events[event.event_type] += 1
        if event.event_type is LifecycleEventType.RUN_CREATED:
            run.created = event.occurred_at
        elif event.event_type is LifecycleEventType.RUN_STARTED:
            run.started = event.occurred_at
            if run.created is not None:
                self._queued.add(_seconds(run.created, event.occurred_at))
        elif event.event_type in _ENDS:
            self._end(event, run)

    def _end(self, event: RunLifecycleEvent, run: _Run) -> None:
        del self._runs[event.run_id]
        self._ended[str(event.payload.get("status") or _ENDS[event.event_type])] += 1
        reason = event.payload.get("stop_reason")
        if reason is not None:
            self._stopped[str(reason)] += 1
        if run.started is not None:
            self._executed.add(_seconds(run.started, event.occurred_at))

    def statistics(self) -> RunStatistics:
        """What was counted so far.

        May be called from any OS thread. Off the event loop, an event that is being counted
        at that moment may show in some figures and not yet in others.
        """
        return RunStatistics(
            created=self._events[LifecycleEventType.RUN_CREATED],
            started=self._events[LifecycleEventType.RUN_STARTED],
            restarted=self._events[LifecycleEventType.RUN_RESTARTED],
            ended=dict(self._ended),
            stopped=dict(self._stopped),
            in_flight=len(self._runs),
            queued=self._queued.durations(),
            executed=self._executed.durations(),
        )


def _seconds(since: datetime, until: datetime) -> float:
    """How long it was. Clocks are set back; nothing has taken less than no time."""
    return max(0.0, (until - since).total_seconds())
