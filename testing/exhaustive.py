"""Everything that can happen in small worlds: a model checker without a model of the code.

An execution is a list of decisions. It is had again by deciding the same again, and another
one by deciding otherwise at the last place where that is possible: a depth-first search
through the real runtime, held against the model all the time.

What is decided, `Bound` says. Two things are tried:

*Arrivals, completely.* asyncio runs callbacks in the order in which they were scheduled, and
so does the kernel with actors. Chance comes from outside alone: a command, an answer of the
store, an agent that goes on or has unwound, the death of the process. With `arrivals="any"`
each may come between any two steps of the runtime (a step is a message that an actor handles,
or a step of a task), or in any order when nothing else is left to do, and goes to the end of
the loop's queue, as in production. Three reductions lose nothing:

- What could have come before a step may as well come behind it if that step scheduled nothing:
  the queue is the same. So it is not offered again there.
- A request to the store is carried out when it is answered, unless another one is under way:
  nobody else could tell. At the death of the process what was not carried out yet may still be.
- An execution ends where another one has been: where everything that its future depends on is
  the same. That is compared by a digest of all objects (`callboard.testing.simulated.state`):
  mailboxes, actors, tasks and where their coroutines stand, timers, the disk, the callers, and
  what the model knows, without which the same future could be judged differently.

*The runtime's own order, up to a bound.* With `delays=d` at most `d` times a step that is due
is put off behind the next one that is ready, an actor's turn or a task's step, at every place
where that is possible (delay-bounded scheduling; Emmi, Qadeer and Rakamaric 2011). Combined
with arrivals at fixed moments: as early as they can be, or when nothing else is left to do.

The process dies at most once, after any step behind which there is something new: between two
deaths nothing became durable, was answered or began to execute, so they leave the same
behind. What follows a death is not decided: the next process takes things as they come.

Not tried: faults of the store, other moments of time than those when nothing else is left to
do, several threads of conversation, several deaths.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from .model import Violation
from .simulation import no_collection
from .small import Arrivals, Execution, SmallWorld
from .world.commands import Cancel, Create

STRATEGIES = ("reject", "interrupt", "rollback", "enqueue")
_DEEP = 20_000
"""Python's recursion limit, for digests of long chains of objects."""
_COLLECT_EVERY = 500
"""Executions between two collections of garbage."""


@dataclass(frozen=True, slots=True)
class Bound:
    """How much is tried.

    Args:
        arrivals: when things come from outside: at `any` moment, or at one fixed one each,
            `early` or `late`.
        delays: how often a step of the runtime is put off behind another one.
        joins: whether an execution ends where another one has been. Without it the same
            is found, in more time.

    """

    arrivals: Arrivals = "any"
    delays: int = 0
    joins: bool = True

    def __str__(self) -> str:
        return f"arrivals {self.arrivals}, {self.delays} delays"


@dataclass(slots=True)
class Explored:
    """What came of a search.

    Args:
        world: where.
        bound: how much was to be tried.
        executions: how many there were.
        steps: steps of the event loop, in all of them.
        ends: different ends they came to: what was durable, and what the model knew.
        seconds: how long it took.
        complete: whether everything within the bound was tried.
        violations: the promises that the last execution broke; nothing is tried behind it.
        decisions: what it decided otherwise than to go on, by the number of the decision.
        trace: who said what to whom in it.

    """

    world: SmallWorld
    bound: Bound
    executions: int = 0
    steps: int = 0
    ends: set[bytes] = field(default_factory=set)
    seconds: float = 0.0
    complete: bool = False
    violations: tuple[Violation, ...] = ()
    decisions: dict[int, int] = field(default_factory=dict)
    trace: str = ""

    def __str__(self) -> str:
        tried = "all" if self.complete else "not all"
        line = (
            f"{self.world}; {self.bound}: {self.executions:,} executions "
            f"({tried}), {self.steps:,} steps, {len(self.ends):,} ends, "
            f"{self.seconds:.1f} s, {len(self.violations)} violations"
        )
        if not self.violations:
            return line
        broken = [f"  {violation}" for violation in self.violations]
        again = f"again with decisions {self.decisions}"
        commands = [f"  {command}" for command in self.world.commands]
        return "\n".join([line, *broken, "commands:", *commands, again, "trace:", self.trace])


class _Path:
    """The decisions of one execution: those given, and from there on 0 each.

    Args:
        bound: how much is tried.
        given: how it begins.
        limits: how many possibilities there were at each of these.
        seen: what was, in any execution.

    """

    def __init__(
        self,
        bound: Bound,
        given: Sequence[int] = (),
        limits: Sequence[int] = (),
        seen: set[object] | None = None,
    ) -> None:
        self.arrivals, self.delays = bound.arrivals, bound.delays
        self._joins = bound.joins
        self._given = given
        self._seen = set() if seen is None else seen
        self.limits = list(limits)
        self.taken: list[int] = []

    @property
    def _repeats(self) -> bool:
        """Whether what is decided next was decided before."""
        return len(self.taken) < len(self._given)

    def pick(self, limit: int) -> int:
        """Decide."""
        number = len(self.taken)
        choice = self._given[number] if self._repeats else 0
        if number == len(self.limits):
            self.limits.append(limit)
        self.taken.append(choice)
        return choice

    def below(self, limit: int) -> int:
        """Decide which of the steps that are ready comes next; each that has to wait is put off."""
        if not self.delays:
            return 0
        choice = self.pick(min(limit, self.delays + 1))
        self.delays -= choice
        return choice

    def novel(self, what: Callable[[], object], *, joins: bool = False) -> bool:
        """Whether this never was before, in any execution; so says who only repeats one."""
        if self._repeats or (joins and not self._joins):
            return True
        known = len(self._seen)
        self._seen.add(what())
        return len(self._seen) > known

    def following(self) -> list[int]:
        """How the next execution begins; empty if there is none."""
        begin = list(self.taken)
        while begin and begin[-1] + 1 >= self.limits[len(begin) - 1]:
            begin.pop()
        if begin:
            begin[-1] += 1
        return begin


def explore(world: SmallWorld, bound: Bound | None = None, seconds: float = 60.0) -> Explored:
    """Try everything that can happen in a small world, until a promise is broken.

    Args:
        world: the world.
        bound: how much is tried; every arrival by default.
        seconds: real ones after which it gives up.

    """
    explored = Explored(world, bound or Bound())
    began = time.monotonic()
    with no_collection(), _deep():
        _search(explored, began + seconds)
    explored.seconds = time.monotonic() - began
    if explored.violations:
        explored.trace = replay(world, explored.bound, explored.decisions).trace.text()
    return explored


def _search(explored: Explored, deadline: float) -> None:
    path = _Path(explored.bound)
    seen: set[object] = set()
    begin: list[int] = []
    while True:
        path = _Path(explored.bound, begin, path.limits[: len(begin)], seen)
        execution = Execution(explored.world, path)
        explored.violations = tuple(execution.run().violations)
        explored.executions += 1
        explored.steps += execution.steps
        if explored.violations:
            explored.decisions = {n: choice for n, choice in enumerate(path.taken) if choice}
            return
        if not execution.joined:
            explored.ends.add(execution.end())
        begin = path.following()
        if not begin:
            explored.complete = True
            return
        if time.monotonic() > deadline:
            return
        if explored.executions % _COLLECT_EVERY == 0:
            gc.collect()


def replay(world: SmallWorld, bound: Bound, decisions: Mapping[int, int]) -> Execution:
    """Have an execution again, with its trace.

    Args:
        world: the world.
        bound: what was tried.
        decisions: as `Explored` has them.

    """
    given = [decisions.get(number, 0) for number in range(max(decisions, default=-1) + 1)]
    with no_collection(), _deep():
        execution = Execution(world, _Path(bound, given), keep=None)
        execution.run()
    return execution


@contextmanager
def _deep() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


# The worlds.


def create(key: int, strategy: str, *, saves: bool = False) -> Create:
    """A run whose agent waits for its moment, and then ends."""
    steps = [["save"], ["sleep", 1]] if saves else [["sleep", 1]]
    script = {"steps": steps, "unwind": 0.0, "stubborn": 0.0}
    return Create(at=0.0, key=key, thread="t", agent="act", strategy=strategy, script=script)


def creations(strategy: str, *, mortal: bool = False, observed: bool = False) -> SmallWorld:
    """Create, and create again. What is to be rolled back has saved something."""
    commands = (create(1, "enqueue", saves=strategy == "rollback"), create(2, strategy))
    return SmallWorld(f"create, create ({strategy})", commands, mortal, observed)


def abort(action: str, *, mortal: bool = False) -> SmallWorld:
    """Create a run that saves something, and abort it."""
    commands = (
        create(1, "enqueue", saves=True),
        Cancel(at=0.0, of=1, action=action, wait=True),
    )
    return SmallWorld(f"create, abort ({action})", commands, mortal)


def creations_and_abort(strategy: str, *, mortal: bool = False) -> SmallWorld:
    """Create, create again, and abort the first."""
    commands = (
        create(1, "enqueue"),
        create(2, strategy),
        Cancel(at=0.0, of=1, action="interrupt", wait=False),
    )
    return SmallWorld(f"create, create ({strategy}), abort", commands, mortal)


def ladder() -> Iterator[tuple[SmallWorld, Bound]]:
    """Ever larger searches, without end."""
    for mortal in (False, True):
        for strategy in STRATEGIES:
            yield creations(strategy, mortal=mortal), Bound()
        for action in ("interrupt", "rollback"):
            yield abort(action, mortal=mortal), Bound()
    for strategy in STRATEGIES:
        yield creations(strategy, observed=True), Bound()
    for mortal in (False, True):
        for strategy in STRATEGIES:
            yield creations_and_abort(strategy, mortal=mortal), Bound()
    arrivals: Arrivals
    for delays in count(1):
        for arrivals in ("late", "early"):
            for strategy in STRATEGIES:
                yield creations_and_abort(strategy), Bound(arrivals, delays)


def explore_all(
    seconds: float, told: Callable[[Explored], None] = lambda explored: None
) -> list[Explored]:
    """Search one small world after the other, ever deeper.

    Ends when the time is up, or with the first promise that is broken.

    Args:
        seconds: real ones.
        told: is called with what came of each search; as text it is a line of figures, or
            the whole story of what was broken.

    """
    deadline = time.monotonic() + seconds
    done: list[Explored] = []
    for world, bound in ladder():
        left = deadline - time.monotonic()
        if left <= 0 or (done and done[-1].violations):
            break
        done.append(explore(world, bound, left))
        told(done[-1])
    return done
