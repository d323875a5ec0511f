"""What happened to a run: the aggregate's own events, and the lifecycle event told to all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from .enums import CancelAction, LifecycleEventType, RunStatus
from .payload import JSON
from .records import quick


@dataclass(frozen=True, slots=True)
class RunCreated:
    """A run came to be."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Its first attempt may execute."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunCompleted:
    """It ended `success`."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunFailed:
    """It ended `error` or `timeout`."""

    run_id: str
    at: datetime
    status: RunStatus
    error: str


@dataclass(frozen=True, slots=True)
class RunCancelled:
    """It ended `interrupted`."""

    run_id: str
    at: datetime
    action: CancelAction


RunEvent: TypeAlias = RunCreated | RunStarted | RunCompleted | RunFailed | RunCancelled


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RunLifecycleEvent:
    """A durable fact about a run, as observers see it.

    `sequence` starts at 1 in each run and has no gap and no duplicate. `event_id` is the
    same whenever the same event is told again.
    """

    event_id: str
    event_type: LifecycleEventType
    run_id: str
    thread_id: str
    sequence: int
    occurred_at: datetime
    """Aware, UTC."""
    payload: Mapping[str, JSON] = field(default_factory=dict)
