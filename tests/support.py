"""What the tests of the runtime share: agents that wait at gates, and a house to run them in."""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import asynccontextmanager

from callboard.actors.runtime import Runtime
from callboard.testing import run_virtual, virtual_kernel

VIRTUAL_PATIENCE = 100_000.0
"""Virtual seconds after which a test has failed."""


def virtual(test):
    """Run an async test on virtual time."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        return run_virtual(asyncio.wait_for(test(*args, **kwargs), VIRTUAL_PATIENCE))

    run.__signature__ = inspect.signature(test)
    del run.__wrapped__  # pytest must not see the coroutine
    return run


async def passes(seconds):
    """Let virtual time pass. Everything that is due by then happens, in order."""
    await asyncio.sleep(seconds)


class Stage:
    """Notes what agents do, and holds them at gates.

    Agents: `work` notes its start, waits for its gate, and notes its end; `slow` takes
    `seconds` to unwind when aborted; `stubborn` swallows cancellation until its gate opens.
    """

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.executing: dict[str, list[str]] = {}
        self.overlaps: list[tuple[str, ...]] = []
        self.contexts = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._entered: dict[str, asyncio.Event] = {}

    def gate(self, run_id) -> asyncio.Event:
        return self._gates.setdefault(run_id, asyncio.Event())

    def entered(self, run_id) -> asyncio.Event:
        return self._entered.setdefault(run_id, asyncio.Event())

    def release(self, *runs) -> None:
        for run in runs:
            self.gate(getattr(run, "run_id", run)).set()

    async def until_executing(self, run) -> None:
        await self.entered(run.run_id).wait()

    def _enter(self, run, *, at_its_gate=True) -> None:
        self.log.append(("start", run.run_id))
        self.contexts[run.run_id] = run
        here = self.executing.setdefault(run.thread_id, [])
        here.append(run.run_id)
        if len(here) > 1:
            self.overlaps.append(tuple(here))
        if at_its_gate:
            self.entered(run.run_id).set()

    def _leave(self, run) -> None:
        self.executing[run.thread_id].remove(run.run_id)
        self.log.append(("end", run.run_id))

    async def work(self, run):
        self._enter(run, at_its_gate=False)
        try:
            await run.checkpoint.save({"by": run.input})
            self.entered(run.run_id).set()
            await self.gate(run.run_id).wait()
            return {"by": run.input}
        finally:
            self._leave(run)

    async def slow(self, run):
        self._enter(run)
        try:
            await self.gate(run.run_id).wait()
        finally:
            try:
                await passes(run.input["seconds"])
            finally:
                self._leave(run)

    async def stubborn(self, run):
        self._enter(run)
        try:
            while not self.gate(run.run_id).is_set():
                try:
                    await self.gate(run.run_id).wait()
                except asyncio.CancelledError:
                    self.log.append(("swallowed", run.run_id))
                    if run.fenced:
                        await self.gate(run.run_id).wait()
            run.emit("late")
        finally:
            self._leave(run)

    async def failing(self, run):
        self._enter(run)
        self._leave(run)
        raise ValueError("kaput")

    def agents(self):
        return {
            "work": self.work,
            "slow": self.slow,
            "stubborn": self.stubborn,
            "failing": self.failing,
        }


@asynccontextmanager
async def opened(agents=None, seed=0, shuffled=False, **options):
    """A runtime on virtual time, closed without waiting for what was left running."""
    options.setdefault("drain_timeout", 0.0)
    kernel = virtual_kernel(seed, shuffled=shuffled)
    runtime = Runtime(agents, kernel=kernel, **options)
    await runtime.start()
    try:
        yield runtime
    finally:
        await runtime.aclose(0.0)


@asynccontextmanager
async def staged(**options):
    """A runtime with the stage's agents."""
    stage = Stage()
    async with opened(stage.agents(), **options) as runtime:
        yield runtime, stage


async def statuses(runtime, *runs):
    """The stored statuses of runs."""
    return [(await runtime.get_run(run.run_id)).status.value for run in runs]


async def lifecycle(runtime, run):
    """The stored lifecycle events of a run, as (sequence, type)."""
    events = await runtime.list_events(run.thread_id, run.run_id)
    return [(e.sequence, e.event_type) for e in events if e.category == "lifecycle"]


async def collect(frames):
    """All frames of a stream, heartbeats left out."""
    return [frame async for frame in frames if frame.event != "heartbeat"]
