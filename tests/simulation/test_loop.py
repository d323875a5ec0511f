"""The simulated loop: chance picks among what may come next, and nothing else."""

import asyncio

import pytest

from callboard.testing import ProcessDied, SimulatedLoop, Stuck
from callboard.testing.simulated import Choices

SEEDS = range(20)


def live(work, seed=0, **options):
    return SimulatedLoop(Choices(seed, "order"), **options).live(work)


async def gathered():
    order = []

    async def note(name):
        for part in range(3):
            await asyncio.sleep(0)
            order.append(f"{name}{part}")

    await asyncio.gather(*(note(name) for name in "abc"))
    return order


def test_other_seeds_give_other_orders_and_the_same_seed_the_same():
    orders = [live(gathered(), seed) for seed in SEEDS]

    assert orders == [live(gathered(), seed) for seed in SEEDS]
    assert len({tuple(order) for order in orders}) > 15


def test_each_task_keeps_its_own_order():
    for seed in SEEDS:
        order = live(gathered(), seed)
        for name in "abc":
            assert [part for part in order if part[0] == name] == [f"{name}{n}" for n in range(3)]


def test_without_a_picker_the_order_is_asyncios():
    assert SimulatedLoop().live(gathered()) == asyncio.run(gathered())


def test_plain_callbacks_keep_their_order():
    async def called():
        loop, order = asyncio.get_running_loop(), []
        for number in range(10):
            loop.call_soon(order.append, number)
        await asyncio.sleep(1)
        return order

    for seed in SEEDS:
        assert live(called(), seed) == list(range(10))


def test_time_passes_only_when_there_is_nothing_to_do_and_then_at_once():
    async def days():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(3 * 86_400)
        return loop.time()

    assert live(days(), start=5.0) == pytest.approx(5 + 3 * 86_400)


def test_who_waits_for_what_cannot_come_is_told_so():
    with pytest.raises(Stuck, match="everybody waits"):
        live(asyncio.Event().wait())


def test_there_are_no_os_threads():
    with pytest.raises(RuntimeError, match="give the simulation an async agent"):
        live(asyncio.to_thread(print))


def test_a_process_dies_between_two_steps_and_nothing_of_it_goes_on():
    log, loop = [], SimulatedLoop()

    async def agent():
        try:
            while True:
                log.append("works")
                await asyncio.sleep(1)
        finally:
            log.append("is closed")
            await asyncio.sleep(1)
            log.append("goes on")

    def doom():
        if loop.time() > 2.5:
            raise ProcessDied

    loop.on_step = doom
    with pytest.raises(ProcessDied):
        loop.live(agent())

    assert log == ["works", "works", "works", "is closed"]
    assert loop.is_closed()
