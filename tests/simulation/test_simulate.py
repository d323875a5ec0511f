"""A host's own scenario on the simulated machine."""

import asyncio

import pytest

from callboard import InvalidValue, RestartPolicy
from callboard.domain import Unavailable
from callboard.testing import FAULTS, simulate


async def patient(run):
    for day in range(3):
        await asyncio.sleep(86_400)
        yield "day", {"number": day}


async def count_days(simulation):
    async with simulation.runtime({"patient": patient}) as runtime:
        run = await runtime.create_run("t", "patient")
        frames = [f.event async for f in runtime.stream(run.run_id)]
        simulation.note(f"{frames.count('heartbeat')} heartbeats")
        assert [event for event in frames if event != "heartbeat"] == [
            "metadata",
            "day",
            "day",
            "day",
            "end",
        ]


def test_days_with_their_heartbeats_pass_and_the_trace_tells_of_them(callboard_seed):
    simulation = simulate(count_days, seed=callboard_seed)

    assert simulation.now() > 3 * 86_400
    assert "17277 heartbeats" in simulation.trace.text()
    assert simulation.trace.text() == simulate(count_days, seed=callboard_seed).trace.text()


def test_a_failure_brings_its_seed_and_the_end_of_its_trace():
    async def scenario(simulation):
        simulation.note("so far so good")
        await asyncio.sleep(1)
        raise AssertionError("not so good")

    with pytest.raises(AssertionError, match="not so good") as caught:
        simulate(scenario, seed=41)

    assert "simulated with seed 41" in caught.value.__notes__[0]
    assert "so far so good" in caught.value.__notes__[1]


def test_the_next_process_finds_what_was_durable(callboard_seed):
    attempts = []

    async def agent(run):
        attempts.append(run.attempt)
        await asyncio.sleep(10)

    def runtime(simulation):
        runtime = simulation.runtime()
        runtime.register("agent", agent, RestartPolicy(on_orphan="restart"))
        return runtime

    async def first(simulation):
        async with runtime(simulation) as running:
            await running.create_run("t", "agent", run_id="r")
            await asyncio.sleep(5)
            await simulation.die()

    async def second(simulation):
        async with runtime(simulation) as running:
            assert (await running.wait("r")).status == "success"

    simulation = simulate(first, second, seed=callboard_seed)

    assert attempts == [1, 2]
    assert simulation.now() == pytest.approx(15)


def test_faults_strike_as_often_as_they_are_told_to_and_never_when_it_is_calm(callboard_seed):
    async def agent(run):
        return "done"

    async def scenario(simulation):
        async with simulation.runtime({"agent": agent}) as runtime:
            for number in range(50):
                try:
                    await runtime.create_run(f"t{number}", "agent", multitask_strategy="enqueue")
                except Unavailable as error:
                    simulation.note(f"refused: {error}")
            simulation.faults.calm = True
            struck = simulation.faults.happened.total()
            await asyncio.sleep(30)  # the store is found to work again
            result = await runtime.create_and_wait("calm", "agent")
            assert (result.output, simulation.faults.happened.total()) == ("done", struck)

    calm = simulate(scenario, seed=callboard_seed)
    stormy = simulate(scenario, seed=callboard_seed, faults={"store fails": 0.5, "delay": 0.2})

    assert calm.faults.happened.total() == 0
    assert set(stormy.faults.happened) == {"store fails", "delay"} <= set(FAULTS)


def test_a_plain_function_is_refused_as_an_agent():
    async def scenario(simulation):
        async with simulation.runtime({"agent": lambda run: run.input}) as runtime:
            ended = await runtime.create_and_wait("t", "agent", timeout=5)
            assert ended.status == "error"
            assert "wants an OS thread, and a simulated loop has none" in ended.error

    simulate(scenario)


async def nothing(simulation):
    """A scenario that passes whatever goes wrong."""


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ({"store_fails": 1.0}, "faults is 'store_fails': choose among 'slow store', 'store fails'"),
        ({"delay": float("nan")}, r"faults\['delay'\] is nan: give a probability from 0 to 1"),
        ({"delay": float("inf")}, r"faults\['delay'\] is inf"),
        ({"delay": -1}, r"faults\['delay'\] is -1"),
        ({"delay": 100}, r"faults\['delay'\] is 100"),
        ({"delay": "0.5"}, r"faults\['delay'\] is '0.5'"),
        ({"delay": True}, r"faults\['delay'\] is True"),
        ({"delay": 0.5, "slow store": None}, r"faults\['slow store'\] is None"),
        (["delay"], r"faults is \['delay'\]: give a mapping"),
        ("delay", "faults is 'delay': give a mapping"),
    ],
)
def test_a_fault_that_could_never_strike_as_it_says_is_refused(faults, text):
    with pytest.raises(InvalidValue, match=text):
        simulate(nothing, faults=faults)


@pytest.mark.parametrize("faults", [None, {}, FAULTS, {"delay": 0}, {"delay": 1}])
def test_faults_are_none_or_known_ones_with_probabilities(faults):
    assert simulate(nothing, faults=faults).faults.kinds == (faults or {})


@pytest.mark.parametrize("seed", ["1", 1.0, None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(InvalidValue, match=f"seed is {seed!r}"):
        simulate(nothing, seed=seed)


@pytest.mark.parametrize("scenario", [5, lambda simulation: None, simulate])
def test_a_scenario_is_a_coroutine_function(scenario):
    with pytest.raises(InvalidValue, match="give a coroutine function"):
        simulate(scenario)
