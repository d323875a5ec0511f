"""What the supervisor shows: the tree, the health, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .enums import CancelAction, RunStatus, ThreadStatus
from .payload import JSON


class SupervisionEventType(StrEnum):
    """What the supervisor noticed or did."""

    ATTEMPT_FAILED = "attempt_failed"
    """An agent raised."""
    ATTEMPT_RESTARTED = "attempt_restarted"
    """A new attempt begins, after its backoff."""
    RESTART_LIMIT_REACHED = "restart_limit_reached"
    """The policy allows no further attempt."""
    ATTEMPT_ABANDONED = "attempt_abandoned"
    """An agent did not unwind within the abort grace and was fenced."""
    GHOST_ENDED = "ghost_ended"
    """An abandoned agent's code has ended after all."""
    RUN_ACTOR_CRASHED = "run_actor_crashed"
    """A run's actor failed, and its run was settled."""
    THREAD_RESTARTED = "thread_restarted"
    """A thread's actor failed and was rebuilt from the store."""
    THREAD_QUARANTINED = "thread_quarantined"
    """A thread's actor failed too often; the thread admits nothing."""
    THREAD_RECOVERED = "thread_recovered"
    """A quarantine was lifted."""
    OBSERVER_FAILED = "observer_failed"
    """An observer raised."""
    OBSERVER_RESTARTED = "observer_restarted"
    """An observer's actor failed and was restarted at its cursor."""
    OBSERVER_SUSPENDED = "observer_suspended"
    """An observer's actor failed too often and gets no more events."""
    STORE_FAILED = "store_failed"
    """The store did not take a write, or does not answer; it is tried again."""
    STORE_RECOVERED = "store_recovered"
    """The store works again."""
    SLOTS_TAKEN_OVER = "slots_taken_over"
    """Another process died, and this runtime owns its threads now."""
    ESCALATED = "escalated"
    """A vital actor failed; the runtime ends."""
    DRAINING = "draining"
    """The runtime admits nothing more and waits for its runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionEvent:
    """One thing the supervisor noticed or did."""

    type: SupervisionEventType
    at: datetime
    thread_id: str | None = None
    run_id: str | None = None
    error: str | None = None
    detail: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNode:
    """A run in the supervision tree."""

    run_id: str
    assistant_id: str
    status: RunStatus
    phase: str
    """What its actor is doing: `queued`, `executing`, `unwinding`, `backing_off`, …"""
    attempt: int
    age: float
    """Seconds since it was created."""
    mailbox: int
    """Messages that wait for its actor."""
    abort: CancelAction | None = None
    waiters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadNode:
    """A thread in the supervision tree, its runs in the order they will execute."""

    thread_id: str
    status: ThreadStatus
    mailbox: int
    age: float
    """Seconds since its actor came into memory."""
    restarts: int
    quarantined: bool
    runs: tuple[RunNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverNode:
    """An observer in the supervision tree."""

    name: str
    required: bool
    suspended: bool
    mailbox: int
    cursor: int
    """Position in the event log up to which it has been told."""
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionTree:
    """Every actor there is, at one moment."""

    threads: tuple[ThreadNode, ...] = ()
    observers: tuple[ObserverNode, ...] = ()
    streams: int = 0
    """Runs whose frames are buffered."""
    abandoned: int = 0
    """Fenced agents whose code still executes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the runtime works, and what is wrong if it does not."""

    ok: bool
    state: str
    """`starting`, `running`, `draining`, `closed`, `failed`."""
    problems: tuple[str, ...] = ()
    threads: int = 0
    runs_in_flight: int = 0
    dead_letters: int = 0
    abandoned: int = 0
    quarantined: tuple[str, ...] = ()
