"""One process in a small world: what comes to it, when, and how it ends."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from ...actors.runtime import Runtime
from ...actors.wiring import Settings
from ...domain.identifiers import ThreadId, slot_of
from ...domain.supervision import SupervisionEvent
from ..reader import StreamReader
from ..simulated import Picker, ProcessDied, SimulatedKernel, SimulatedLoop
from ..simulated.state import digest
from ..world.agents import FLAKY
from ..world.clients import Client
from ..world.commands import Create
from ..world.process import leaks
from .outside import CALM, Moment, Outside, OutsideCast, OutsideStore

if TYPE_CHECKING:
    from .execution import Execution

SETTINGS = Settings(abort_grace=5.0, drain_timeout=5.0, passivate_after=4.0, buffer_frames=256)
LONG_ENOUGH = 100.0
"""Virtual seconds after which everything must have ended."""


class Joined(BaseException):
    """The execution has come to where another one has been: what follows is known."""


class SmallProcess:
    """One process: the first of an execution as it is decided, the next as it comes."""

    def __init__(self, execution: Execution, loop: SimulatedLoop, picker: Picker | None) -> None:
        self._execution, self._loop, self._picker = execution, loop, picker
        self._decided = execution.lives == 1
        self._placed = self._decided and execution.decisions.arrivals == "any"
        self._early = self._decided and execution.decisions.arrivals == "early"
        self._mortal = self._decided and execution.world.mortal
        self._outside = Outside(loop, execution.known)
        self._offered: tuple[int, set[str]] = (0, set())
        self._alive = True
        self._over = loop.create_future()
        self._callers: dict[int, asyncio.Task[None]] = {}
        self._troubles: asyncio.Queue[SupervisionEvent | None] = asyncio.Queue()
        """What the supervisor tells: here, nothing ever fails."""
        self._runtime = self._make_runtime()
        constants: list[object] = [self, loop, SETTINGS, CALM]
        constants += [execution, execution.decisions, execution.model, execution.told]
        constants += [execution.trace, self._runtime._agents, self._runtime._workers]
        self._constants = {id(each): type(each).__name__ for each in constants}
        loop.on_step, loop.on_idle = self._step, self._idle

    def _tell(self, fact: str, *known: Any) -> None:
        if self._alive:
            getattr(self._execution.told, fact)(*known)

    # What comes, and when.

    def _step(self) -> None:
        """Between two steps of the runtime: let come what is to come here."""
        if self._execution.model.violations:
            self._die()
        if not self._outside.open:
            return
        if self._placed:
            self._place()
            return
        for moment in self._outside.moments() if self._early else ():
            self._come(moment)
        if self._mortal:
            self._choose([], waiting=1)

    def _place(self) -> None:
        """Offer the picker everything that may come.

        What comes goes to the end of the loop's queue. So what could have come before the
        last step too need not be offered again, unless something went there meanwhile.
        """
        while True:
            queued, before = self._offered
            moments = self._outside.moments()
            self._offered = self._loop.queued, {moment.what for moment in moments}
            if self._loop.queued == queued:
                moments = [moment for moment in moments if moment.what not in before]
            if not self._choose(moments, waiting=1):
                return

    def _idle(self) -> bool:
        """Nothing is left to do but to wait. Returns whether something has come instead."""
        if not self._outside.open:
            return False
        moments = self._outside.moments()
        if moments and self._placed:
            return self._choose(moments, waiting=0)
        if moments:
            self._come(moments[0])
            return True
        if self._mortal:
            self._choose([], waiting=1)
        if not self._settled() and self._loop.time() < LONG_ENOUGH:
            return False
        self._outside.open = False
        self._over.set_result(None)
        return True

    def _choose(self, moments: list[Moment], waiting: int) -> bool:
        """Let the picker choose one, or none if it may wait. Returns whether something came."""
        decisions = self._execution.decisions
        state = partial(self._state, moments)
        if self._placed and moments and not decisions.novel(state, joins=True):
            raise Joined
        limit = waiting + len(moments)
        may_die = self._mortal and decisions.novel(self._death)
        chosen = decisions.pick(limit + may_die) if limit > 1 or self._mortal else 0
        if chosen == limit:
            self._perish()
        if chosen < waiting:
            return False
        self._come(moments[chosen - waiting])
        return True

    def _come(self, moment: Moment) -> None:
        self._offered = (-1, set())
        self._execution.say(moment.what)
        moment.come()

    def _state(self, moments: list[Moment]) -> bytes:
        """All that what follows depends on, with what may come now."""
        execution, loop = self._execution, self._loop
        timers = sorted(timer for timer in loop._scheduled if not timer.cancelled())
        outside = self._outside
        return digest(
            (
                [moment.what for moment in moments],
                execution.decisions.delays,
                list(loop._ready),
                loop.time(),
                timers,
                self._runtime,
                sorted(self._callers.items()),
                execution.remains(),
                sorted(execution.known.items()),
                execution.clients,
                execution.witness,
                outside.callers,
                outside.agents,
                list(outside.requests.values()),
            ),
            self._constants,
        )

    def _death(self) -> object:
        """What a death would leave behind, here and now."""
        execution = self._execution
        return (
            execution.now(),
            execution.told.digest,
            tuple((each.writes, each.done) for each in self._outside.requests.values()),
            tuple(client.done for client in execution.clients),
            tuple(execution.known.items()),
        )

    def _perish(self) -> None:
        """Die. The store still carries out what it was asked for, or not."""
        for request in self._outside.requests.values():
            if request.writes and not request.done and self._execution.decisions.pick(2):
                request.carry_out()
        self._execution.say("the process dies")
        self._die()

    def _die(self) -> None:
        self._alive = False  # what its remains still say is heard by nobody
        raise ProcessDied

    def _settled(self) -> bool:
        runs = self._execution.model.runs.values()
        return all(task.done() for task in self._callers.values()) and all(run.over for run in runs)

    # Its course.

    async def work(self) -> None:
        """Live, and end in an orderly way when everything has come and is over."""
        execution, runtime = self._execution, self._runtime
        await runtime.start()
        runtime._open_house().listeners.append(self._troubles)
        for number, client in enumerate(execution.clients, 1):
            if not client.done:
                needs = getattr(client.command, "of", None)
                arrive = partial(self._arrive, client, runtime, number)
                self._outside.callers[f"caller {number}: {client.command}"] = needs, arrive
        self._outside.open = True
        await self._over
        await self._end(runtime)
        self._alive = False

    def _arrive(self, client: Client, runtime: Runtime, number: int) -> None:
        work = client.act(runtime)
        self._callers[number] = self._loop.create_task(work, name=f"caller {number}")

    def _make_runtime(self) -> Runtime:
        execution, cast = self._execution, OutsideCast(self._tell, self._outside)
        store = OutsideStore(execution.disk, self._outside)
        slots = {
            slot_of(ThreadId(command.thread))
            for command in execution.world.commands
            if isinstance(command, Create)
        }
        runtime = Runtime(cast.agents(), store, slots=slots, settings=SETTINGS, kernel=self._kernel)
        runtime.register("flaky", cast.act, FLAKY)
        if execution.world.observed:
            runtime.observe(execution.witness)
        return runtime

    def _kernel(self) -> SimulatedKernel:
        execution = self._execution
        return SimulatedKernel(execution.lives, self._picker, CALM, execution.trace)

    async def _end(self, runtime: Runtime) -> None:
        """Hold what is left against the model."""
        model, told = self._execution.model, self._execution.told
        callers = self._callers.values()
        waiting = [task.get_name() for task in callers if not task.done()]
        model.check("callers are answered", not waiting, *waiting)
        for task in callers:
            error = task.exception() if task.done() and not task.cancelled() else None
            model.check("errors are callboard's own", error is None, repr(error))
        model.settled()
        model.check("nothing fails", self._troubles.empty(), self._troubles)
        if self._execution.world.observed and self._execution.lives == 1:
            witness = self._execution.witness
            model.check("observers hear all", not witness.behind(), witness.heard)
        for run_id in model.runs:
            reader = StreamReader(told, run_id, None)
            async for frame in runtime.stream(run_id):
                reader.saw(frame.id, frame.event, frame.data)
            reader.ended()
        await asyncio.sleep(2 * SETTINGS.passivate_after)
        model.check("nothing leaks", not leaks(runtime), leaks(runtime))
        await runtime.aclose(0.0)
        left = self._loop.unfinished()
        model.check("closing ends all", len(left) == 1, left)
