"""One process of the world: it starts a runtime, serves its callers, and ends somehow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...actors.runtime import Runtime
from ...actors.wiring import Settings
from ...domain.errors import Unavailable
from ..simulated import (
    InjectedFault,
    ProcessDied,
    SimulatedKernel,
    SimulatedLoop,
    SimulatedStore,
)
from .agents import FLAKY, Cast
from .audience import Notary
from .clients import injected
from .commands import Close, Die

if TYPE_CHECKING:
    from .world import World

SETTINGS = Settings(
    abort_grace=5.0,
    drain_timeout=5.0,
    max_queued_runs=4,
    passivate_after=2.0,
    buffer_frames=256,
    keep_streams=4,
    keep_stream_seconds=60.0,
)
MOST_STEPS = 100_000
"""Steps of the loop at one moment, after which nothing goes on any more."""
CALM_AFTER = 5.0
"""Seconds behind the last command, after which nothing goes wrong any more."""
LONG_ENOUGH = 1000.0
"""Seconds of calm after which everything must have ended."""
_EMPTY_AFTER = 40.0
"""Seconds after which nothing may be left of what has ended."""
_LOOK_EVERY = 0.5
"""Seconds between two looks whether the runtime has failed."""


class Process:
    """One life of the runtime.

    Args:
        world: where it lives.
        loop: what it lives on.

    """

    def __init__(self, world: World, loop: SimulatedLoop) -> None:
        self._world = world
        self._loop = loop
        self._alive = True
        self._steps_left: int | None = None
        self._kernels: list[SimulatedKernel] = []
        self._moment = (0.0, 0)
        """The time, and the loop's steps when it came."""
        self.cast = Cast(self._tell)
        """Its agents."""
        self.down = 0.0
        """Virtual seconds until the next process starts."""
        loop.on_step = self._step
        loop.set_exception_handler(self._callback_failed)

    @property
    def turns(self) -> int:
        """Messages that its actors handled."""
        return sum(kernel.turns for kernel in self._kernels)

    def _step(self) -> None:
        now, steps = self._loop.time(), self._loop.steps
        if now != self._moment[0]:
            self._moment = (now, steps)
        elif steps - self._moment[1] > MOST_STEPS:
            self._world.model.check("time goes on", False, now)
        if self._world.model.violations:
            self.die()
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left < 0:
                self.die()

    def die(self) -> None:
        """End here and now.

        Raises:
            ProcessDied: always.

        """
        self._alive = False  # what its remains still say is heard by nobody
        raise ProcessDied

    def _tell(self, fact: str, *known: Any) -> None:
        if self._alive:
            self._world.say("agent", " ".join(map(str, (fact, *known[:2]))))
            getattr(self._world.model, fact)(*known)

    # Its life.

    async def work(self) -> bool:
        """Live. Returns whether another process follows."""
        world = self._world
        end = world.ends[0] if world.ends else None
        if isinstance(end, Die):
            self.down = end.down
            self._loop.call_at(max(end.at, world.now()), self._doom, end)
        runtime = await self.started()
        clients = [
            self._loop.create_task(client.act(runtime), name=f"client {number}")
            for number, client in enumerate(world.clients)
            if not client.done
        ]
        if isinstance(end, Close):
            again = await self._close(runtime, end)
        else:
            again = await self.serve(runtime, clients)
        self.look_at(clients)
        self._alive = False
        return again

    def _doom(self, end: Die) -> None:
        self._world.ends.remove(end)
        self._steps_left = end.steps

    async def started(self) -> Runtime:
        """A runtime that has started; until it has, it is tried again."""
        while True:
            runtime = self._runtime()
            try:
                await runtime.start()
            except (Unavailable, InjectedFault):
                await asyncio.sleep(1.0)
            else:
                return runtime

    def _runtime(self) -> Runtime:
        world, cast = self._world, self.cast
        store = SimulatedStore(world.disk, world.turbulence)
        runtime = Runtime(cast.agents(), store=store, settings=SETTINGS, kernel=self._kernel)
        runtime.register("flaky", cast.act, FLAKY)
        runtime.observe(world.witness)
        runtime.observe(world.ledger, name="ledger", replay=True)
        if (pace := world.plan.observer) is not None:
            runtime.observe(Notary(world.model, world.turbulence, pace), required=True)
        return runtime

    def _kernel(self) -> SimulatedKernel:
        world = self._world
        seed = world.plan.seed * 1000 + world.order.below(1000)  # no two lives give the same ids
        kernel = SimulatedKernel(seed, world.order, world.turbulence, world.trace)
        kernel.on_crash = self._actor_failed
        self._kernels.append(kernel)
        return kernel

    async def _until(self, there: Callable[[], bool], runtime: Runtime, longest: float) -> bool:
        """Wait until something is the case, time is up or the runtime has failed."""
        deadline = self._world.now() + longest
        while runtime.state != "failed":
            if there():
                return True
            if self._world.now() >= deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY)
        return False

    # Its ends.

    async def _close(self, runtime: Runtime, end: Close) -> bool:
        world = self._world
        await self._until(lambda: world.now() >= end.at, runtime, end.at + 1.0)
        world.ends.remove(end)
        world.model.closing = not end.hand_over
        with suppress(InjectedFault):  # who asks an actor that is made to fail is told so
            await runtime.aclose(end.timeout, hand_over=end.hand_over)
        left = [run for run in world.model.runs.values() if run.attempts]
        excused = world.model.shaken or world.turbulence.happened["delay"]
        unwound = all(map(world.model.had_time, left))
        world.model.check("closing unwinds", unwound or excused, left)
        return True

    async def serve(self, runtime: Runtime, clients: list[asyncio.Task[None]]) -> bool:
        """Serve everybody to the end. Returns whether the runtime failed before."""
        self.down = 1.0
        world, model = self._world, self._world.model
        last = max((command.at for command in world.plan.commands), default=0.0)
        await self._until(lambda: world.now() > last + CALM_AFTER, runtime, LONG_ENOUGH)
        world.turbulence.calm = True
        await self._until(lambda: all(task.done() for task in clients), runtime, LONG_ENOUGH)
        await self._until(self._idle, runtime, LONG_ENOUGH)
        if runtime.state == "failed":
            return True
        waiting = [task.get_name() for task in clients if not task.done()]
        model.check("callers are answered", not waiting, *waiting)
        await self._until(lambda: not leaks(runtime), runtime, _EMPTY_AFTER)
        if runtime.state == "failed" or not runtime._open_house().wiring.complete:
            return True  # or it is about to be
        model.settled()
        model.check("nothing leaks", not leaks(runtime), leaks(runtime))
        ledger = runtime._open_house().supervisor.observers["ledger"]
        if ledger.cursor.suspended is None:  # else it failed too often, and its next process tells
            await self._until(lambda: not world.ledger.behind(), runtime, LONG_ENOUGH)
            model.check("observers hear all", not world.ledger.behind(), world.ledger.behind())
        await runtime.aclose(0.0)
        model.check("closing ends all", len(self._loop.unfinished()) == 1, self._loop.unfinished())
        return False

    def _idle(self) -> bool:
        return all(run.over for run in self._world.model.runs.values())

    def _actor_failed(self, actor: str, error: Exception) -> None:
        excused = injected(error) or isinstance(error, Unavailable)
        self._world.model.check("actors do not fail by themselves", excused, actor, repr(error))

    def _callback_failed(self, _: object, context: dict[str, Any]) -> None:
        if "handle" in context:
            self._world.model.check("callbacks do not fail", False, repr(context["exception"]))

    def look_at(self, clients: list[asyncio.Task[None]]) -> None:
        """Hold against the model what became of clients."""
        for task in clients:
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None:
                self._world.model.check("errors are callboard's own", False, repr(error))


def leaks(runtime: Runtime) -> list[str]:
    """What should have gone when nothing is in flight."""
    house = runtime._open_house()
    kernel = house.kernel
    actors = 3 + len(house.supervisor.observers)
    stream: Any = house.wiring.stream.actor_inbox.actor
    if stream is None:  # it has failed, and the runtime is about to
        return []
    return [
        f"{count} {what}"
        for what, count in (
            ("threads", len(house.registry.threads)),
            ("runs", len(house.registry.runs)),
            ("actors too many", len(kernel) - actors),
            ("tasks", kernel.tasks),
            ("ghosts", len(house.supervisor.ghosts)),
            ("streams too many", len(stream._streams) - house.wiring.settings.keep_streams),
        )
        if count > 0
    ]
