"""Your own scenario in a machine where a seed decides everything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..actors.runtime import Runtime
from ..domain.errors import InvalidValue
from .simulated import (
    Choices,
    Disk,
    ProcessDied,
    SimulatedKernel,
    SimulatedLoop,
    SimulatedStore,
    Trace,
    Turbulence,
    no_os_thread,
)
from .simulated.turbulence import checked

Scenario = Callable[["Simulation"], Coroutine[Any, Any, None]]

TRACE_SHOWN = 200
"""Lines of the trace that a failure shows; the object has them all."""


class Simulation:
    """What one seed stands for: an order of things, the faults that strike, and a disk.

    Args:
        seed: the same seed gives the same trace, byte for byte.
        faults: the kinds of faults that may strike, and the probability of each where it
            could; see `FAULTS`.

    Raises:
        InvalidValue: the seed is no whole number, or a fault cannot be used.

    """

    def __init__(self, seed: int, faults: Mapping[str, float] | None = None) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InvalidValue("seed", seed, "give a whole number")
        self.seed = seed
        self.trace = Trace()
        """Who said what to whom, and when."""
        self.choices = Choices(seed, "scenario")
        """For the scenario's own decisions."""
        self.faults = Turbulence(Choices(seed, "faults"), checked(faults), self._struck)
        """Set `faults.calm` and nothing goes wrong any more."""
        self.disk = Disk()
        """What is durable: every runtime of the simulation finds it."""
        self._order = Choices(seed, "order")
        self._loop: SimulatedLoop | None = None
        self._clock = 0.0
        self._kernels = 0

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self._clock if self._loop is None else self._loop.time()

    def note(self, what: str) -> None:
        """Put a line of your own into the trace."""
        self.trace.say(self.now(), "scenario", what)

    def runtime(self, agents: Mapping[str, Any] | None = None, **options: Any) -> Runtime:
        """A runtime of this simulation; everything but the store is for you to choose.

        Args:
            agents: as for `Runtime`. Plain functions need OS threads, which there are none
                of: give coroutines, async generators or graphs.
            options: as for `Runtime`.

        """
        store = SimulatedStore(self.disk, self.faults)
        runtime = Runtime(agents, store=store, kernel=self._kernel, **options)
        runtime._workers.submit = no_os_thread  # type: ignore[method-assign]
        return runtime

    async def die(self) -> None:
        """Kill the process here and now: nothing of it goes on, and this does not return."""
        loop = self._loop
        if loop is None:
            raise RuntimeError("no process lives: call it from within a scenario")
        loop.on_step = _die
        loop.call_soon(_die)  # so that there is a step; it is not taken
        await loop.create_future()

    def _kernel(self) -> SimulatedKernel:
        self._kernels += 1
        seed = self.seed * 1000 + self._kernels
        return SimulatedKernel(seed, self._order, self.faults, self.trace)

    def _struck(self, kind: str) -> None:
        self.trace.say(self.now(), "chance", kind)

    def live(self, scenario: Scenario) -> None:
        """One process, from its start until it dies.

        Raises:
            InvalidValue: the scenario is no coroutine function.

        """
        work: Any = scenario(self) if callable(scenario) else None
        if not asyncio.iscoroutine(work):
            remedy = "give a coroutine function that takes the simulation"
            raise InvalidValue("scenario", scenario, remedy)
        self._loop = loop = SimulatedLoop(self._order, self._clock)
        try:
            loop.live(work)
        except ProcessDied:
            self.note("the process is no more")
        finally:
            self._clock, self._loop = loop.time(), None


def _die() -> None:
    raise ProcessDied


def simulate(
    *lives: Scenario, seed: int = 0, faults: Mapping[str, float] | None = None
) -> Simulation:
    """Run scenarios, one process after the other, on one disk.

    Each scenario is a coroutine function that takes the `Simulation`. When it returns, its
    process is killed as it stands, and the next one finds what was durable; what should end
    in an orderly way, the scenario closes.

    Args:
        lives: the processes.
        seed: decides the order in which tasks and actors go on, and where faults strike.
        faults: what may go wrong, and the probability of each kind where it could, from 0
            to 1; see `FAULTS`. Nothing by default.

    Returns:
        the simulation, with its trace.

    Raises:
        InvalidValue: an argument cannot be used.
        Stuck: everybody waits for somebody else.
        Exception: what a scenario raised, with the seed and the end of the trace as notes.

    """
    simulation = Simulation(seed, faults)
    with no_collection():
        for scenario in lives:
            try:
                simulation.live(scenario)
            except BaseException as error:
                lines = simulation.trace.text().splitlines()[-TRACE_SHOWN:]
                error.add_note(f"simulated with seed {seed}; the end of its trace:")
                error.add_note("\n".join(lines))
                raise
    return simulation


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python from collecting cycles at moments that no seed decides."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
