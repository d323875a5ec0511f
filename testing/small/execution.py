"""One way in which things go in a small world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..model import Model
from ..simulated import Disk, Picker, ProcessDied, SimulatedLoop, Trace
from ..simulated.state import digest
from ..virtual_time import Stuck
from ..world.audience import Witness
from ..world.clients import Client
from ..world.commands import Command
from .process import SETTINGS, Joined, SmallProcess


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """What is to be tried in every order.

    Args:
        name: what people call it.
        commands: what callers do. Their moments count for nothing.
        mortal: the process dies once, at any step, and another one takes up what is durable.
        observed: there is an observer.

    """

    name: str
    commands: tuple[Command, ...]
    mortal: bool = False
    observed: bool = False

    def __str__(self) -> str:
        beside = [", death"] * self.mortal + [", observer"] * self.observed
        return "".join([self.name, *beside])


Arrivals = Literal["any", "early", "late"]


class Decisions(Picker, Protocol):
    """Decides what comes next, and when things come from outside.

    `below` decides among the runtime's own steps.
    """

    arrivals: Arrivals
    """When things come from outside: whenever `pick` says, as soon as they can, or only when
    nothing else is left to do."""
    delays: int
    """How often a step of the runtime may still be put off; for the state of things."""

    def pick(self, limit: int) -> int:
        """A whole number from 0 up to but not including `limit`."""
        ...

    def novel(self, what: Callable[[], object], *, joins: bool = False) -> bool:
        """Whether what this returns never was before, in any execution.

        With `joins` the execution would end if it was.
        """
        ...


class Told:
    """The model, and a digest of all that it was told.

    Args:
        model: the model.

    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.digest = 0

    def __getattr__(self, name: str) -> Any:
        known = getattr(self._model, name)
        if not callable(known):
            return known

        def tell(*fact: Any) -> Any:
            said = (each for each in fact if isinstance(each, str | int))
            self.digest = hash((self.digest, name, *said))
            return known(*fact)

        return tell


class Execution:
    """One way in which things go in a small world.

    Args:
        world: the world.
        decisions: what comes when.
        keep: lines of the trace that are kept, as for `Trace`.

    """

    def __init__(self, world: SmallWorld, decisions: Decisions, keep: int | None = 0) -> None:
        self.world, self.decisions = world, decisions
        self._loop: SimulatedLoop | None = None
        self.model = Model(self.now, SETTINGS.abort_grace)
        told: Any = Told(self.model)
        self.told = told
        self.disk = Disk(self.told)
        self.trace = Trace(keep)
        self.known: dict[int, str] = {}
        """The ids of runs, by the key of the command that creates each."""
        self.clients = [Client(command, self.told, self.known) for command in world.commands]
        self.witness = Witness(self.told, lasting=False)
        self.lives = 0
        self.steps = 0
        self.joined = False
        """Whether it ended where another execution had been."""

    def run(self) -> Model:
        """Let it happen. Returns the model, which knows what was violated."""
        while self._live() and not self.model.violations:
            self.told.died()
            self.witness.restarted()
            for client in self.clients:
                client.restarted()
        return self.model

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return 0.0 if self._loop is None else self._loop.time()

    def remains(self) -> tuple[Any, ...]:
        """What is durable, and what the model knows."""
        known = {name: part for name, part in vars(self.model).items() if name != "checked"}
        return self.disk, known

    def end(self) -> bytes:
        """A digest of what remains."""
        return digest(self.remains(), {id(self): "execution", id(self.told): "told"})

    def say(self, what: str) -> None:
        """Note what comes from outside."""
        self.trace.say(self.now(), "outside", what)

    def _live(self) -> bool:
        """One process. Returns whether it died before its time."""
        self.lives += 1
        picker = self.decisions if self.decisions.delays and self.lives == 1 else None
        self._loop = loop = SimulatedLoop(picker, self.now())
        try:
            loop.live(SmallProcess(self, loop, picker).work())
        except ProcessDied:
            return True
        except Joined:
            self.joined = True
        except Stuck as stuck:
            self.model.check("somebody goes on", False, stuck)
        finally:
            self.steps += loop.steps
        return False
