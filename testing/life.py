"""What is known of one run: facts, without the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

CLOSING = {
    "success": "run_completed",
    "error": "run_failed",
    "timeout": "run_failed",
    "interrupted": "run_cancelled",
}
MOVES = {
    "pending": {"running", "error", "timeout", "interrupted"},
    "running": {"success", "error", "timeout", "interrupted"},
}
ABORTING = {"interrupt", "rollback"}
Fenced = Callable[[], bool]


@dataclass(slots=True, eq=False)
class Life:
    """What is known of one run."""

    run_id: str
    thread_id: str
    place: int
    request: Any
    asked: set[str]
    """What may end it early: `interrupt`, `rollback`, `fail`, `fault`, `death`, `observer`.

    And `restart`, if there may be more than one attempt; `erase`, if it may be deleted."""
    status: str = "pending"
    action: str | None = None
    """What it was aborted with."""
    began: int = 0
    attempts: dict[Fenced, float | None] = field(default_factory=dict)
    """Those whose code executes, each of which tells whether it was abandoned; and when it
    noticed that it was asked to unwind."""
    outcome: str | None = None
    """How its agent left: `returned`, `raised`, `cancelled`."""
    bound: str | None = None
    """What was promised to end it. A death of the process frees it."""
    due: float = inf
    """When it must have ended."""
    events: list[str] = field(default_factory=list)
    attested: bool = False
    """Whether a required observer was told of its end."""
    survived: bool = False
    """Whether it outlived, ended, the process that would have forgotten it."""
    told_at: float | None = None
    """When somebody was told that it has ended."""
    frames: dict[int, Any] = field(default_factory=dict)
    steady: set[Any] = field(default_factory=set)
    """Readers who are there, and were before any had left."""
    deserted: bool = False

    @property
    def executing(self) -> bool:
        """Whether code of its agent executes whose doings count."""
        return not all(fenced() for fenced in self.attempts)

    @property
    def over(self) -> bool:
        """Whether its status is terminal."""
        return self.status in CLOSING

    @property
    def forgettable(self) -> bool:
        """Whether it was rolled back, and is to leave no record then."""
        rolled_back = (self.status, self.action) == ("interrupted", "rollback")
        return bool(self.request.forget_on_rollback) and rolled_back

    @property
    def forgotten(self) -> bool:
        """Whether it must have left no record, once anybody is told of its end."""
        return self.forgettable and not self.survived

    @property
    def strategy(self) -> str:
        """What its creation means for what is in flight."""
        return str(self.request.multitask_strategy)

    def __repr__(self) -> str:
        return f"{self.run_id} ({self.status})"
