"""What the simulator brought to light about observers.

Each is the smallest story that showed it; the seed is the one under which it was seen first.
"""

import asyncio
from dataclasses import replace

import pytest

from callboard.domain import (
    RunStatus,
)
from callboard.observers import Observed
from callboard.observers.journal_messages import Deliver
from callboard.testing import simulate
from tests.simulation.found import (
    SLOW,
    Witness,
    crash,
    gather_into,
    handle_with,
    observer,
    succeed,
    until,
)


def test_an_observer_that_fails_in_its_first_instant_is_told_all_the_same():
    """Seed 255: nobody knew it yet, and it was never told anything."""
    witness = Witness()

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, name="witness")
            crash(runtime, observer(runtime, "witness"))
            await runtime.create_and_wait("t", "agent")
            await until(lambda: "run_completed" in witness.heard)

    simulate(scenario)


@pytest.mark.parametrize("kind", ["run_started", "run_completed"])
def test_a_run_does_not_wait_for_what_a_required_observer_was_told_before_it_failed(kind):
    """Seed 2291: the group was lost with the failure, and the run waited for ever."""
    witness = Witness()

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, required=True, name="witness")
            lost = []

            def lose(actor, message):
                kinds = [str(d.event.event_type) for d in message.deliveries]
                if kind in kinds and not lost:
                    lost.append(kinds)
                    raise ValueError("kaput")
                return deliver(actor, message)

            deliver = handle_with(observer(runtime, "witness"), Deliver, lose)
            run = await runtime.create_run("t", "agent")
            assert (await runtime.wait(run.run_id)).status == "success"
            assert lost

    simulate(scenario)


def test_a_run_does_not_wait_for_a_required_observer_that_is_forgotten():
    async def scenario(simulation):
        witness = Witness()
        async with simulation.runtime({"agent": succeed}) as runtime:
            observation = runtime.observe(witness, required=True)
            witness.gate.clear()
            run = await runtime.create_run("t", "agent")
            await asyncio.sleep(10)
            observation.close()
            assert (await runtime.wait(run.run_id)).status == "success"

    simulate(scenario)


def test_a_stream_does_not_tell_an_end_from_the_record_before_required_observers_know():
    """Seed 706328328463: whoever read while the run was brought into memory heard it first."""
    witness = Witness()

    async def agent(run):
        witness.gate.clear()

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            runtime.observe(witness, required=True)
            run = await runtime.create_run("t", "agent")
            table = simulation.disk.memory._run_table
            await until(lambda: table.get(run.run_id).status is RunStatus.SUCCESS)
            runtime._house.wiring.stream.actor_inbox.actor._streams.clear()
            told = []
            reading = asyncio.ensure_future(gather_into(told, runtime, run.run_id))
            for _ in range(50):
                await asyncio.sleep(0)
            assert told == []
            witness.gate.set()
            await reading
            assert told[-1] == "end"

    simulate(scenario)


def test_frames_from_the_log_do_not_tell_an_end_before_required_observers_know():
    """Seed 503332188972: whoever read what was not in memory any more heard it first."""
    witness = Witness()

    async def agent(run):
        witness.gate.clear()

    async def first(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            await runtime.create_run("t", "agent", run_id="r", resumable=True, after_seconds=60.0)
            await asyncio.sleep(1.0)
            await simulation.die()

    async def second(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            runtime.observe(witness, required=True)
            table = simulation.disk.memory._run_table
            await until(lambda: table.get("r").status is RunStatus.SUCCESS)
            told = []
            reading = asyncio.ensure_future(gather_into(told, runtime, "r"))
            await asyncio.sleep(1.0)
            assert told == ["metadata"]
            witness.gate.set()
            await reading
            assert told == ["metadata", "end"]
            again = await runtime._house.read("r", 0, 256, 0.0)
            assert (len(again.frames), again.end) == (2, True)  # seed 15133438004

    simulate(first, second)


def test_a_required_observer_that_read_ahead_of_the_answer_is_not_waited_for_again():
    """Seed 667767408: it was told from the log what its run did not know to be stored yet."""

    async def scenario(simulation):
        witness = Witness()
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(witness, required=True, name="witness")
            run = await runtime.create_run("t", "agent")
            (created, *_) = await simulation.disk.memory.events.read()
            ahead = replace(created, position=1_000_000)
            runtime._house.registry.runs[run.run_id].send(Observed(ahead, "witness", None))
            witness.gate.clear()
            assert (await runtime.wait(run.run_id)).status == "success"
            witness.gate.set()

    for seed in range(20):
        simulate(scenario, seed=seed, faults=SLOW)


def test_a_run_does_not_wait_for_what_a_failed_observer_was_to_be_told_again():
    """Seed 208695945973: it did, for ever."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime.observe(Witness(), required=True, name="witness")
            run = await runtime.create_run("t", "agent")
            ends = []

            def lose_the_answer(actor, message):
                if message.event.event_type != "run_completed" or ends:
                    return hear(actor, message)
                ends.append("heard")  # the run's end is committed again, and told again
                raise ValueError("kaput")

            def lose_the_question(actor, message):
                if ends == ["heard"]:
                    ends.append("lost")
                    raise ValueError("kaput")
                return deliver(actor, message)

            hear = handle_with(runtime._house.registry.runs[run.run_id], Observed, lose_the_answer)
            deliver = handle_with(observer(runtime, "witness"), Deliver, lose_the_question)
            async with asyncio.timeout(600):
                assert (await runtime.wait(run.run_id)).status == "success"
            assert ends == ["heard", "lost"]

    simulate(scenario)
