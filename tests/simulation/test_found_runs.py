"""What the simulator brought to light about runs.

Each is the smallest story that showed it; the seed is the one under which it was seen first.
"""

import asyncio

import pytest

from callboard.actors.book import Phase
from callboard.actors.messages import Release
from callboard.actors.recording import START
from callboard.domain import (
    RunStatus,
)
from callboard.kernel import Crashed
from callboard.observers import Committed
from callboard.store import APPLIED
from callboard.testing import simulate
from tests.simulation.found import SLOW, crash, frames_of, handle_with, sleep, succeed, until


def test_a_deleted_run_leaves_nothing_that_is_written_later():
    """Seed 1569: the event that its thread was idle came behind the deletion."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            table = simulation.disk.memory._run_table
            await until(lambda: table.get(run.run_id).status is RunStatus.SUCCESS)
            assert await runtime.delete_run(run.run_id)
            await asyncio.sleep(10)
            assert await simulation.disk.memory.events.read() == []

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_a_run_whose_actor_fails_together_with_its_threads_is_settled():
    """Seed 110367: the failure was told to an incarnation that failed itself."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry = runtime._house.registry
            thread, actor = registry.threads["t"], registry.runs[run.run_id]
            crash(runtime, actor)
            thread.actor_inbox.system.clear()  # it fails instead of handling what it is told
            crash(runtime, thread)
            result = await runtime.wait(run.run_id)
            assert (result.status, result.stop_reason) == ("error", "actor_crashed")

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_readers_are_let_go_though_the_run_fails_as_it_leaves_and_its_thread_has_left():
    """Seed 40770: the stream of a run on a temporary thread never ended."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            options = {"scope": "temporary_thread"}
            run = await runtime.create_run(None, "agent", run_id="r", **options)
            inbox = runtime._house.registry.runs["r"].actor_inbox

            def fail(actor, message):
                raise ValueError("kaput")

            inbox.actor.handlers = {**inbox.actor.handlers, Release: fail}
            frames = [frame.event async for frame in runtime.stream(run.run_id)]
            assert frames == ["metadata", "end"]

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_a_run_that_failed_after_its_end_leaves_though_its_thread_fails_as_well():
    """Seed 551036745739: its actor stayed, suspended."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry, kernel = runtime._house.registry, runtime._house.kernel
            thread, actor = registry.threads["t"], registry.runs[run.run_id]
            book = actor.actor_inbox.actor.book
            await until(lambda: book.phase is Phase.SETTLED or not actor.is_alive())
            if actor.is_alive() and run.run_id in registry.runs:
                del registry.runs[run.run_id]  # its thread has let it go
                crash(runtime, actor)
                crash(runtime, thread)
            await asyncio.sleep(600)
            assert not actor.is_alive()
            assert len(kernel) == 3

    for seed in range(30):
        simulate(scenario, seed=seed, faults={"delay": 0.5})


def test_a_run_that_is_asked_for_again_takes_its_place_at_the_end():
    """Seed 210045: it took the place that it had before it was rolled back and forgotten."""
    began = []

    async def agent(run):
        began.append(run.run_id)
        await asyncio.sleep(10)

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            options = {"multitask_strategy": "enqueue", "forget_on_rollback": True}
            await runtime.create_run("t", "agent", run_id="first")
            await runtime.create_run("t", "agent", run_id="again", **options)
            await runtime.create_run("t", "agent", run_id="second", **options)
            await runtime.cancel("again", "rollback", wait=True)
            await runtime.create_run("t", "agent", run_id="again", **options)
            await runtime.wait("again")
            assert began == ["first", "second", "again"]

    simulate(scenario)


@pytest.mark.parametrize("resumable", [False, True])
def test_a_run_that_is_asked_for_again_has_a_stream_of_its_own(resumable):
    """Seen beside seed 210045: its readers were told what had been forgotten."""

    async def agent(run):
        run.emit("say", "hello")
        await asyncio.sleep(10)

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            options = {"run_id": "again", "forget_on_rollback": True, "resumable": resumable}
            await runtime.create_run("t", "agent", **options)
            await asyncio.sleep(1.0)
            await runtime.cancel("again", "rollback", wait=True)
            assert (await frames_of(runtime, "again"))[-1] == "end"
            await runtime.create_run("t", "agent", **options)
            frames = [frame async for frame in runtime.stream("again")]
            assert [frame.event for frame in frames] == ["metadata", "say", "end"]
            assert frames[-1].data == {"status": "success"}

    simulate(scenario)


def test_a_run_that_failed_after_its_end_leaves_though_that_is_never_heard_of():
    """Seed 149389977441: its actor stayed, suspended; its thread had failed over the news."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            registry, kernel = runtime._house.registry, runtime._house.kernel
            thread, ref = registry.threads["t"], registry.runs[run.run_id]

            def fail(actor, message):
                raise ValueError("kaput")

            handle_with(ref, Release, fail)
            handle_with(thread, Crashed, fail)
            await asyncio.sleep(600)
            assert not ref.is_alive()
            assert len(kernel) == 3

    simulate(scenario)


def test_a_run_whose_actor_fails_over_its_abort_does_not_begin_first():
    """Seed 1021708171305: that its start was stored was handled before the failure was."""
    began = []

    async def agent(run):
        began.append(run.run_id)

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            run = await runtime.create_run("t", "agent", after_seconds=60.0)
            ref = runtime._house.registry.runs[run.run_id]
            book = ref.actor_inbox.actor.book
            await until(lambda: book.phase is Phase.STARTING)
            crash(runtime, ref)
            ref.send(Committed(START, APPLIED))
            assert (await runtime.wait(run.run_id)).status == "error"

    for seed in range(30):
        simulate(scenario, seed=seed, faults=SLOW)
    assert began == []
