"""What the simulator brought to light about processes that die and runtimes that close.

Each is the smallest story that showed it; the seed is the one under which it was seen first.
"""

import asyncio

import pytest

from callboard import RestartPolicy
from callboard.actors.messages import Activate
from callboard.actors.supervisor import SupervisorActor
from callboard.domain import RunStatus, StopReason
from callboard.testing import simulate
from tests.simulation.found import (
    SLOW,
    leave,
    record,
    save_and_sleep,
    sleep,
    succeed,
    until,
)


def test_a_resumable_stream_begins_with_its_metadata_though_its_process_died_before_it():
    """Seed 104: it began with `error`."""

    async def scenario(simulation):
        await leave(simulation, record("r", RunStatus.RUNNING, attempt=1, resumable=True))
        async with simulation.runtime({"agent": succeed}) as runtime:
            frames = [(frame.id, frame.event) async for frame in runtime.stream("r")]
            assert frames == [("1", "metadata"), ("2", "error"), ("3", "end")]

    simulate(scenario)


def test_an_orphan_that_is_rolled_back_before_its_next_attempt_leaves_no_state():
    """Seed 1186: what its first attempt had saved stayed."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", save_and_sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        assert await simulation.disk.memory.checkpoints.load("t") == {"by": "r"}
        simulation.faults.kinds["slow store"] = 1.0
        async with runtime(simulation) as running:
            assert await running.cancel("r", "rollback", wait=True)
            assert await simulation.disk.memory.checkpoints.load("t") is None

    for seed in range(20):
        simulate(first, second, seed=seed)


def test_a_reader_who_came_before_its_run_was_in_memory_counts_as_one():
    """Seed 1720: after a restart the run was aborted when another reader left."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r", on_disconnect="cancel")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        async with runtime(simulation) as running:
            streams = [running.stream("r"), running.stream("r")]
            seen = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await asyncio.gather(*seen)
            await streams[0].aclose()
            assert (await running.wait("r")).status == "success"
            await streams[1].aclose()

    for seed in range(20):
        simulate(first, second, seed=seed, faults=SLOW)


@pytest.mark.parametrize("steps", range(0, 60, 3))
def test_whom_a_run_aborts_is_aborted_though_the_process_dies_in_between(steps):
    """Found by hypothesis: adopted after the death, they went on."""
    begun = []

    async def agent(run):
        begun.append(run.run_id)
        await asyncio.sleep(3)

    async def first(simulation):
        async with simulation.runtime({"agent": agent}) as running:
            await running.create_run("t", "agent", run_id="running")
            queued = {"run_id": "queued", "multitask_strategy": "enqueue"}
            await running.create_run("t", "agent", **queued)
            await asyncio.sleep(1)
            options = {"run_id": "last", "multitask_strategy": "rollback"}
            creating = asyncio.ensure_future(running.create_run("t", "agent", **options))
            for _ in range(steps):
                await asyncio.sleep(0)
            creating.cancel()
            await simulation.die()

    async def second(simulation):
        stored = simulation.disk.memory._run_table.get("last") is not None
        async with simulation.runtime({"agent": agent}) as running:
            await asyncio.sleep(60)
            queued = await running.get_run("queued")
            if stored:
                assert (queued.status, queued.action) == ("interrupted", "rollback")
                assert "queued" not in begun
            else:
                assert queued.status == "success"

    begun.clear()
    simulate(first, second, seed=steps)


def test_whom_a_run_aborts_is_aborted_though_it_ended_first_and_the_process_died():
    """Seed 313032981947: it began, when the one that was to replace it had been failed."""

    async def scenario(simulation):
        await leave(
            simulation,
            record("before", RunStatus.PENDING, multitask_strategy="enqueue"),
            record("failed", RunStatus.ERROR, multitask_strategy="rollback"),
            record("after", RunStatus.PENDING, multitask_strategy="enqueue"),
        )
        async with simulation.runtime({"agent": succeed}) as runtime:
            ended = [await runtime.wait(run_id) for run_id in ("before", "after")]
            assert [run.status for run in ended] == ["interrupted", "success"]
            assert (await runtime.get_run("before")).action == "rollback"

    simulate(scenario)


def test_a_run_that_was_withdrawn_supersedes_nobody_after_a_restart():
    async def scenario(simulation):
        withdrawn = {"stop_reason": StopReason.WITHDRAWN, "multitask_strategy": "interrupt"}
        await leave(
            simulation,
            record("before", RunStatus.PENDING, multitask_strategy="enqueue"),
            record("withdrawn", RunStatus.INTERRUPTED, **withdrawn),
        )
        async with simulation.runtime({"agent": succeed}) as runtime:
            assert (await runtime.wait("before")).status == "success"

    simulate(scenario)


def test_a_temporary_thread_whose_process_died_before_it_was_deleted_goes_when_it_is_asked_for():
    async def scenario(simulation):
        await leave(simulation, record("r", RunStatus.SUCCESS, scope="temporary_thread"))
        async with simulation.runtime({"agent": succeed}) as runtime:
            kept = await runtime.create_run("t", "agent")
            assert (await runtime.wait(kept.run_id)).status == "success"
            assert await runtime.get_run("r") is None

    simulate(scenario)


def test_what_is_being_admitted_when_the_runtime_closes_does_not_begin_afterwards():
    """Seeds 1403 and 1589: its agent began while everything was taken down."""
    executing = []

    async def agent(run):
        executing.append(run.run_id)
        try:
            await asyncio.sleep(60)
        finally:
            executing.remove(run.run_id)

    async def scenario(simulation):
        runtime = simulation.runtime({"agent": agent}, abort_grace=5.0)
        await runtime.start()
        creating = asyncio.ensure_future(runtime.create_run("t", "agent"))
        for _ in range(simulation.seed):
            await asyncio.sleep(0)
        await runtime.aclose(0.0)
        assert executing == []
        creating.cancel()

    for seed in range(40):
        simulate(scenario, seed=seed, faults={"slow store": 0.3})


def test_closing_right_after_a_start_takes_up_no_run_behind_its_back():
    """Seed 408: an orphan's next attempt began while everything was taken down."""
    executing = []

    async def agent(run):
        executing.append(run.run_id)
        try:
            await asyncio.sleep(60)
        finally:
            executing.remove(run.run_id)

    def runtime(simulation):
        runtime = simulation.runtime(abort_grace=5.0)
        runtime.register("agent", agent, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        running = runtime(simulation)
        await running.start()
        for _ in range(simulation.seed):
            await asyncio.sleep(0)
        await running.aclose(0.0)
        assert executing == []

    for seed in range(30):
        executing.clear()
        simulate(first, second, seed=seed)


def test_a_thread_that_could_not_be_brought_back_at_a_start_is_asked_for_again():
    """Seed 3415: its queued run waited until somebody else needed the thread."""

    async def first(simulation):
        async with simulation.runtime({"agent": sleep, "next": succeed}) as runtime:
            await runtime.create_run("t", "agent")
            await runtime.create_run("t", "next", run_id="r", multitask_strategy="enqueue")
            await simulation.die()

    async def second(simulation):
        runtime = simulation.runtime({"agent": sleep, "next": succeed})
        refusals = []

        def refuse(actor, message):
            if not refusals:
                refusals.append(message)
                raise ValueError("kaput")
            return SupervisorActor._activate(actor, message)

        handlers = SupervisorActor.handlers
        SupervisorActor.handlers = {**handlers, Activate: refuse}
        try:
            async with runtime:
                table = simulation.disk.memory._run_table
                await until(lambda: table.get("r").status is RunStatus.SUCCESS)
        finally:
            SupervisorActor.handlers = handlers
        assert refusals

    simulate(first, second)


def test_an_orphan_that_is_rolled_back_as_its_next_attempt_starts_leaves_no_state():
    """Seed 180781806562: the attempt was there, but had not looked at the state yet."""

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", save_and_sleep, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        async with runtime(simulation) as running:
            for _ in range(simulation.seed % 40):
                await asyncio.sleep(0)
            assert await running.cancel("r", "rollback", wait=True)
            assert await simulation.disk.memory.checkpoints.load("t") is None

    for seed in range(400):
        simulate(first, second, seed=seed)


def test_who_waits_for_a_run_that_is_just_brought_back_is_not_told_before_it_is_forgotten():
    """Seed 226221307593: the record was read between its end and its erasure."""

    async def first(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            delayed = {"after_seconds": 60.0, "forget_on_rollback": True}
            await runtime.create_run("t", "agent", run_id="r", **delayed)
            await simulation.die()

    async def second(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            cancelling = asyncio.ensure_future(runtime.cancel("r", "rollback"))
            waiting = []
            while "r" not in runtime._house.registry.runs:
                waiting.append(asyncio.ensure_future(told(simulation, runtime)))
                await asyncio.sleep(0.01)
            await asyncio.gather(cancelling, *waiting)

    async def told(simulation, runtime):
        assert (await runtime.wait("r")).status == "interrupted"
        assert simulation.disk.memory._run_table.get("r") is None
        assert runtime.recall("r").status == "interrupted"

    for seed in range(20):
        simulate(first, second, seed=seed, faults={"slow store": 0.5})
