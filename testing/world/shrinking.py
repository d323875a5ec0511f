"""From a plan that breaks a promise to a smaller one that breaks the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .plan import Plan
from .report import Report
from .world import World


def shrink(
    report: Report,
    simulate: Callable[[Plan], Report] = lambda plan: World(plan).run(),
    tries: int = 300,
) -> Report:
    """The smallest simulation found that breaks the first promise that `report` broke.

    Takes away kinds of faults, then commands, in halves and smaller parts, as long as that
    rule is still broken (delta debugging; Zeller and Hildebrandt 2002).

    Args:
        report: of a simulation that broke a promise.
        simulate: how a plan is tried.
        tries: simulations at most.

    """
    best, rule = report, report.violations[0].rule
    again = True
    while again:
        again = False
        for plan in _smaller(best.plan):
            if tries <= 0:
                return best
            tries -= 1
            found = simulate(plan)
            if any(violation.rule == rule for violation in found.violations):
                best, again = found, True
                break
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    if plan.kinds:
        yield replace(plan, kinds={})
    if plan.observer is not None:
        yield replace(plan, observer=None)
    if plan.observer:
        yield replace(plan, observer=0.0)
    for kind in plan.kinds:
        yield replace(plan, kinds={k: p for k, p in plan.kinds.items() if k != kind})
    size = len(plan.commands) // 2
    while size:
        for start in range(0, len(plan.commands), size):
            rest = plan.commands[:start] + plan.commands[start + size :]
            yield replace(plan, commands=rest)
        size //= 2
