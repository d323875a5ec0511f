"""What is written to a store, and what it answers: plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ..domain.enums import (
    CancelAction,
    EventCategory,
    MultitaskStrategy,
    RunScope,
    RunStatus,
    StopReason,
)
from ..domain.fence import Fence
from ..domain.payload import JSON
from ..domain.views import RunSnapshot, RunUsage, StoredRunEvent

_LONGEST_MODEL_NAME = 128
"""Characters of a model's name that are kept."""


class NewEvent(NamedTuple):
    """An event before the log gave it its `position` and `seq`."""

    event_id: str
    """Unique; appending it again changes nothing and returns what is stored.

    `run_id/N` is the id of the run's lifecycle event whose `sequence` is `N`."""
    thread_id: str
    run_id: str
    category: EventCategory
    event_type: str
    content: JSON
    created_at: datetime
    sequence: int | None = None
    """For lifecycle events: the place within the run."""
    metadata: dict[str, JSON] | None = None


class RunCompletion(NamedTuple):
    """What is known of a run when an attempt, or the run, has ended."""

    usage: RunUsage | None = None
    output: JSON = None
    completion_data: dict[str, JSON] | None = None
    title: str | None = None


class RunChange(NamedTuple):
    """A compare-and-set move of a run's record. `None` leaves a field as it is."""

    run_id: str
    expected: RunStatus
    """The status it must have now, else nothing is written."""
    target: RunStatus
    at: datetime
    attempt: int | None = None
    action: CancelAction | None = None
    stop_reason: StopReason | None = None
    error: str | None = None
    model_name: str | None = None
    completion: RunCompletion | None = None


class SaveState(NamedTuple):
    """Make `state` the thread's state, as written by `run_id`."""

    thread_id: str
    run_id: str
    state: JSON


class DropState(NamedTuple):
    """Forget what `run_id` saved: the state before it is the thread's again."""

    thread_id: str
    run_id: str


class PutThread(NamedTuple):
    """Record a thread by itself. `DUPLICATE` where there is one, with or without a record."""

    thread_id: str
    user_id: str | None
    metadata: dict[str, JSON]
    at: datetime


class PatchThread(NamedTuple):
    """Set keys of a thread's metadata, leaving the others. `STALE` where there is no thread."""

    thread_id: str
    metadata: dict[str, JSON]
    at: datetime


class Entry(NamedTuple):
    """What is written together or not at all. An empty one writes nothing, in its turn.

    At most one of `insert`, `change`, `erase_thread`, `erase_run`, `checkpoint` and `thread`,
    and the events that tell it, all of one thread. Anything else cannot be stored.
    """

    fence: Fence
    insert: RunSnapshot | None = None
    change: RunChange | None = None
    events: tuple[NewEvent, ...] = ()
    erase_thread: str | None = None
    """Delete everything recorded on this thread."""
    erase_run: str | None = None
    """Delete this run's record and its events."""
    checkpoint: SaveState | DropState | None = None
    """The state of a plain agent; with events, or by itself."""
    thread: PutThread | PatchThread | None = None
    """What is recorded of the thread itself."""
    unless_recorded: bool = False
    """With `erase_thread`: not if the thread has a record of its own, which is `STALE`."""


class Verdict(StrEnum):
    """What became of an entry."""

    APPLIED = "applied"
    """It is stored; by now, or by an earlier commit of the very same entry."""
    DUPLICATE = "duplicate"
    """A run with that id, or that idempotency key on that thread, exists already."""
    STALE = "stale"
    """The run does not have the expected status, or may not move so; a thread to be changed has no
    record, or one that is to be erased has; nothing was written."""
    FENCED = "fenced"
    """The fence's epoch is not the slot's; nothing was written."""
    FAILED = "failed"
    """This entry cannot be stored; the others of its group are not touched by that."""


class Outcome(NamedTuple):
    """The store's answer to one entry."""

    verdict: Verdict
    events: Sequence[StoredRunEvent] = ()
    """The entry's events as stored, in order. With `APPLIED` only."""
    position: int = 0
    """The place of the last of them in the log; 0 without events."""
    error: str | None = None
    """With `FAILED`: why."""


APPLIED = Outcome(Verdict.APPLIED)


class Unfinished(NamedTuple):
    """A run in flight, and how far its events go."""

    run: RunSnapshot
    sequence: int = 0
    """The place of its last lifecycle event."""
    frames: int = 0
    """How many frames are stored, if it is resumable."""


class Overtaking(NamedTuple):
    """A run that has ended, though it was accepted behind some that are in flight."""

    strategy: MultitaskStrategy
    stop_reason: StopReason | None
    place: int
    """How many of those in flight came before it."""


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """What a thread's actor needs to know when it comes into memory."""

    owner: str | None
    """The user of the thread's first run."""
    in_flight: tuple[Unfinished, ...]
    """Pending and running runs, in the order they were accepted."""
    last: RunSnapshot | None
    """The run that ended last."""
    overtaking: tuple[Overtaking, ...] = ()
    """What ended before a run that was accepted earlier, in the order of acceptance."""
    kept: bool = True
    """Whether anything is stored of the thread."""

    @property
    def temporary(self) -> bool | None:
        """Whether it goes with its runs; `None` if there is nothing of it."""
        runs = [each.run for each in self.in_flight] or ([self.last] if self.last else [])
        if not runs:
            return False if self.kept else None
        return runs[0].request.scope is RunScope.TEMPORARY_THREAD


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted."""

    runs: int = 0
    events: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(self.runs + other.runs, self.events + other.events)


def kept_model_name(name: str | None) -> str | None:
    """A model's name as stores keep it: stripped and short; blank is `None`."""
    return (name or "").strip()[:_LONGEST_MODEL_NAME] or None
