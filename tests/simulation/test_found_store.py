"""What the simulator brought to light about stores that fail and the end of a runtime.

Each is the smallest story that showed it; the seed is the one under which it was seen first.
"""

import asyncio

import pytest

from callboard.domain import (
    RuntimeClosed,
    ThreadExists,
)
from callboard.testing import SimulatedStore, simulate
from tests.simulation.found import crash, succeed, until


def test_a_run_whose_record_was_stored_though_the_answer_was_lost_goes_on():
    """Seed 83: it stayed pending for ever, and blocked its thread."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            simulation.faults.kinds["answer lost"] = 1.0
            creating = asyncio.ensure_future(runtime.create_run("t", "agent"))
            await until(lambda: simulation.faults.happened["answer lost"] >= 2)
            simulation.faults.calm = True
            run = await creating
            assert (await runtime.wait(run.run_id)).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed)


class Doubtful(SimulatedStore):
    """Stores the first group and loses the answer, then refuses once."""

    answers = ("lost", "refused")

    async def commit(self, group):
        answer, self.answers = self.answers[:1], self.answers[1:]
        self._turbulence.kinds = {"answer lost": 1.0} if answer == ("lost",) else {}
        if answer == ("refused",):
            self._turbulence.kinds = {"store fails": 1.0}
        return await super().commit(group)


def test_what_was_in_doubt_stays_so_while_the_store_cannot_look():
    """Seed 3760, which had the store say that nothing is stored: it may not, before it looked."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            runtime._house.wiring.journal.actor_inbox.actor._store = Doubtful(
                simulation.disk, simulation.faults
            )
            run = await runtime.create_run("t", "agent")
            assert (await runtime.wait(run.run_id)).status == "success"

    for seed in range(20):
        simulate(scenario, seed=seed)


def test_a_vital_actor_that_fails_is_told_as_the_end_of_the_runtime():
    """Seed 950: callers saw Pykka's ActorDeadError."""

    async def scenario(simulation):
        async with simulation.runtime({"agent": succeed}) as runtime:
            run = await runtime.create_run("t", "agent")
            await runtime.wait(run.run_id)
            crash(runtime, runtime._house.wiring.journal)
            with pytest.raises(RuntimeClosed, match=r"failed \(ValueError\('kaput'\)\)"):
                await runtime.delete_run(run.run_id)

    simulate(scenario)


def test_who_makes_a_thread_does_not_meet_it_when_the_answer_of_the_store_was_lost():
    """Seed 525: the record was written again, and found itself."""

    async def scenario(simulation):
        async with simulation.runtime() as runtime:
            simulation.faults.kinds["answer lost"] = 1.0
            making = asyncio.ensure_future(runtime.create_thread("t", metadata={"n": 1}))
            await until(lambda: simulation.faults.happened["answer lost"] >= 2)
            simulation.faults.calm = True
            assert await making == await runtime.get_thread("t")
            with pytest.raises(ThreadExists):
                await runtime.create_thread("t", metadata={"n": 1})

    for seed in range(20):
        simulate(scenario, seed=seed)


def test_who_makes_a_thread_hears_that_the_runtime_has_ended():
    """Seed 1011: it was pykka's error that came."""

    async def scenario(simulation):
        async with simulation.runtime() as runtime:
            simulation.faults.kinds["store hangs"] = 1.0
            making = asyncio.ensure_future(runtime.create_thread("t"))
            await asyncio.sleep(0.1)
            crash(runtime, runtime._house.wiring.journal)
            with pytest.raises(RuntimeClosed):
                await making

    simulate(scenario)
