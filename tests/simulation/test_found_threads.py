"""What the simulator brought to light about threads and their end.

Each is the smallest story that showed it; the seed is the one under which it was seen first.
"""

import asyncio
from contextlib import suppress

import pytest

from callboard.actors.adoption import has_turn
from callboard.actors.book import Phase
from callboard.actors.erasure import _PARTED
from callboard.actors.messages import Describe, Passivate, Release, Start
from callboard.actors.queue import Member
from callboard.domain import (
    RunNotFound,
    RuntimeClosed,
)
from callboard.domain.store_errors import StoreUnavailable
from callboard.observers import Committed
from callboard.store import APPLIED
from callboard.testing import simulate
from tests.simulation.found import SLOW, crash, frames_of, handle_with, sleep, succeed, until


def test_stopping_a_thread_does_not_call_runs_ended_that_are_not():
    """Seeds 497 and 1476: it answered their ids when the runtime failed meanwhile."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            await runtime.create_run("t", "agent")
            simulation.faults.kinds["store hangs"] = 1.0
            stopping = asyncio.ensure_future(runtime.supervisor.stop_thread("t"))
            await asyncio.sleep(0.5)
            crash(runtime, runtime._house.wiring.stream)
            with pytest.raises(RuntimeClosed):
                await stopping

    simulate(scenario)


def test_a_thread_that_fails_while_a_record_is_on_its_way_takes_up_the_run():
    """Seed 755: the record was stored behind its back, and stayed pending."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            await runtime.create_and_wait("t", "agent")
            creating = asyncio.ensure_future(runtime.create_run("t", "agent", run_id="r"))
            await until(lambda: runtime._house.registry.threads["t"].actor_inbox.actor._admission)
            crash(runtime, runtime._house.registry.threads["t"])
            with pytest.raises(Exception, match="kaput"):
                await creating
            await until(lambda: len(simulation.disk.memory._run_table._rows) == 2)
            assert (await runtime.wait("r")).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_a_thread_that_is_asked_to_leave_while_something_waits_leaves_later():
    """Seed 221967: it stayed in memory until somebody needed it again."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}, passivate_after=10.0) as runtime:
            await runtime.create_and_wait("t", "agent")
            ref = runtime._house.registry.threads["t"]
            ref.send(Passivate())
            ref.send(Describe())
            runtime._house.supervisor._idle.clear()  # as the supervisor does when it asks
            await asyncio.sleep(60)
            assert runtime._house.registry.threads == {}

    simulate(scenario)


def test_an_abort_of_all_runs_waits_until_a_rebuilt_thread_knows_them():
    """Seen while `stop_thread` met a thread that had just failed: nothing was aborted."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent")
            crash(runtime, runtime._house.registry.threads["t"])
            simulation.faults.kinds["slow store"] = 1.0
            await asyncio.sleep(0.01)
            assert await runtime.supervisor.stop_thread("t") == (run.run_id,)
            assert (await runtime.get_run(run.run_id)).status == "interrupted"

    for seed in range(10):
        simulate(scenario, seed=seed)


@pytest.mark.parametrize("refused", [False, True])
def test_a_temporary_thread_does_not_go_while_a_run_is_being_admitted_to_it(refused):
    """Seed 526194815337: the caller was told that the thread's actor had stopped."""

    async def scenario(simulation):
        end, gate = asyncio.Event(), asyncio.Event()

        async def agent(run):
            await end.wait()

        async with simulation.runtime({"agent": agent}) as runtime:
            first = await runtime.create_run("t", "agent", scope="temporary_thread")
            runs = runtime._house.wiring.store.runs
            looks = asyncio.Event()

            async def get(run_id, **how):
                looks.set()
                await gate.wait()
                if refused:
                    raise StoreUnavailable("a look-up", "the test wants it so")
                return await type(runs).__getattr__(runs, "get")(run_id, **how)

            runs.get = get
            creating = asyncio.ensure_future(
                runtime.create_run("t", "agent", run_id="second", scope="temporary_thread")
            )
            await looks.wait()
            end.set()
            await until(
                lambda: (
                    runtime._house.registry.runs[first.run_id].actor_inbox.actor.book.phase
                    is Phase.SETTLED
                )
            )
            gate.set()
            if refused:
                with pytest.raises(StoreUnavailable):
                    await creating
            else:
                await runtime.wait((await creating).run_id)
            del runs.get
            assert (await runtime.wait(first.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    simulate(scenario)


def test_a_run_is_let_go_though_its_temporary_thread_fails_while_it_is_deleted():
    """Seed 157617145578: who waited for it, waited for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent", scope="temporary_thread")
            thread = runtime._house.registry.threads["t"]
            actor = thread.actor_inbox.actor
            await until(lambda: actor._erasing or not thread.is_alive())
            if thread.is_alive():
                crash(runtime, thread)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"slow store": 0.5})


def test_a_run_that_fails_while_its_temporary_thread_is_deleted_answers_who_waits():
    """Seed 1072781119069: nobody replaced its actor, and they waited for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent", scope="temporary_thread")
            registry = runtime._house.registry
            thread, ref = registry.threads["t"], registry.runs[run.run_id]
            actor = thread.actor_inbox.actor
            await until(lambda: actor._erasing or not thread.is_alive())
            if thread.is_alive():
                crash(runtime, ref)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert await runtime.get_thread("t") is None

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"slow store": 0.5})


@pytest.mark.parametrize("resumable", [False, True])
def test_frames_do_not_outlive_their_thread(resumable):
    """Seed 9: they were read from memory, when all that was stored had been deleted."""

    async def agent(run):
        run.emit("say", "secret")

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            ended = await runtime.create_run("t", "agent", resumable=resumable)
            other = await runtime.create_run("u", "agent", resumable=resumable)
            await runtime.wait(ended.run_id)
            queued = await runtime.create_run("t", "agent", after_seconds=60.0)
            reading = asyncio.ensure_future(frames_of(runtime, queued.run_id))
            await asyncio.sleep(1.0)
            assert await runtime.delete_thread("t")
            for run in (ended, queued):
                with pytest.raises(RunNotFound):
                    await frames_of(runtime, run.run_id)
            assert "say" in await frames_of(runtime, other.run_id)
            with suppress(RunNotFound):  # it may be behind
                assert (await reading)[0] == "metadata"

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"delay": 0.2})


def test_frames_do_not_outlive_a_thread_that_was_about_to_go_anyway():
    """Seed 179597139867: who deleted it was answered for an entry that its last run had caused."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            await runtime.wait(run.run_id)
            thread = runtime._house.registry.threads["t"]
            deleting = asyncio.ensure_future(runtime.delete_thread("t"))
            await until(lambda: thread.actor_inbox.actor._erasers)
            thread.send(Committed(_PARTED, APPLIED))
            assert await deleting
            await until(lambda: not thread.is_alive())
            await asyncio.sleep(60.0)
            with pytest.raises(RunNotFound):
                await frames_of(runtime, run.run_id)

    simulate(scenario, faults=SLOW)


def test_who_stops_a_thread_need_not_hear_of_a_run_that_is_deleted_meanwhile():
    """Seed 615722314051: its actor was said to have stopped."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            house = runtime._house
            ref = house.registry.runs[run.run_id]
            await runtime.wait(run.run_id)
            await runtime.delete_run(run.run_id)
            await until(lambda: not ref.is_alive())
            house.registry.runs[run.run_id] = ref  # as it was when the thread told what it stops
            await house.wait_for((run.run_id,))
            del house.registry.runs[run.run_id]

    simulate(scenario)


def test_a_run_that_was_told_to_start_has_its_turn():
    """Seed 1064140934016: its thread failed before that was stored, and started another one too."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent", after_seconds=60.0)
            ref = runtime._house.registry.runs[run.run_id]
            member = Member(ref, ref.actor_inbox.actor.book, 0.0)
            assert not has_turn(member)
            ref.send(Start())
            assert has_turn(member)
            await until(lambda: member.book.attempt is not None)
            assert has_turn(member)
            await runtime.cancel(run.run_id)
            await runtime.wait(run.run_id)
            assert not has_turn(member)

    simulate(scenario)


def test_a_delayed_run_waits_for_its_time_though_its_thread_fails():
    async def scenario(simulation):
        loop = asyncio.get_running_loop()
        began = []

        async def agent(run):
            began.append(loop.time())

        async with simulation.runtime({"agent": agent}) as runtime:
            at = loop.time()
            run = await runtime.create_run("t", "agent", after_seconds=60.0)
            crash(runtime, runtime._house.registry.threads["t"])
            await runtime.wait(run.run_id)
            assert began[0] >= at + 60.0

    simulate(scenario)


def test_a_run_that_fails_as_its_thread_leaves_leaves_too():
    """Seed 465548512065: its failure reached a mailbox that was closed already."""

    def fail(*_):
        raise ValueError("kaput")

    async def scenario(simulation):
        async with simulation.runtime({"agent": sleep}) as runtime:
            run = await runtime.create_run("t", "agent")
            ref = runtime._house.registry.runs[run.run_id]
            handle_with(ref, Release, fail)
            assert await runtime.delete_thread("t")
            await until(lambda: not ref.is_alive())

    for seed in range(20):
        simulate(scenario, seed=seed, faults={"slow store": 0.5, "delay": 0.5})
