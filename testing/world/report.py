"""What came of a simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..model import Violation
from .plan import Plan


@dataclass(slots=True)
class Report:
    """What came of a simulation.

    Args:
        plan: what was simulated.
        violations: promises that were broken, in the order in which it was noticed.
        steps: steps of the event loop.
        turns: messages that actors handled.
        seconds: virtual seconds that passed.
        lives: processes that there were.
        faults: what went wrong on purpose, and how often.
        checked: how often each rule was held against what happened.
        trace: who said what to whom, and when.

    """

    plan: Plan
    violations: tuple[Violation, ...] = ()
    steps: int = 0
    turns: int = 0
    seconds: float = 0.0
    lives: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    trace: str = ""

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def figures(self) -> str:
        """How much happened, in a line."""
        return (
            f"seed {self.plan.seed}: {self.steps} steps, {self.turns} messages, "
            f"{self.seconds:.1f} virtual seconds, {self.lives} processes, "
            f"{self.faults.total()} faults, {self.checked.total()} checks"
        )

    def __str__(self) -> str:
        broken = [f"  {violation}" for violation in self.violations] or ["  nothing"]
        return "\n".join(
            [
                self.figures(),
                "broken:",
                *broken,
                "commands:",
                str(self.plan),
                *(["trace:", self.trace] if self.trace else []),
            ]
        )
