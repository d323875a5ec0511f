"""PostgreSQL goes away and comes back, again and again, while runs are made.

`CALLBOARD_RESTARTS=20` makes it as many restarts; 4 otherwise.
"""

import asyncio
import os
from collections import Counter

import pytest

from callboard import Runtime
from callboard.domain import StoreUnavailable, Unavailable
from tests.durable.house import AGENTS, patient

RESTARTS = int(os.environ.get("CALLBOARD_RESTARTS", "4"))
PRODUCERS = 8


async def produce(runtime, name, acknowledged, progress, over):
    """Create one run after the other, asking again with the same id when in doubt."""
    number = 0
    while not over.is_set():
        run_id = f"{name}-{number}"
        try:
            await runtime.create_run(name, "echo", input="a b", run_id=run_id)
            result = await runtime.wait(run_id)
        except StoreUnavailable:
            await asyncio.sleep(0.01)  # the server is away; it is asked again
            continue
        acknowledged[run_id] = result.status.value
        progress.release()
        number += 1


async def check(runtime, acknowledged):
    for run_id, status in acknowledged.items():
        run = await runtime.get_run(run_id)
        assert run.status.value == status == "success"
        stored = await runtime.list_events(run.thread_id, run_id, limit=100)
        kinds = [e.event_type for e in stored if e.category == "lifecycle"]
        sequences = [e.sequence for e in stored if e.category == "lifecycle"]
        assert sequences == list(range(1, len(sequences) + 1)), run_id
        assert Counter(kinds)["run_completed"] == 1
        assert [e.content for e in stored if e.category == "message"] == ["a b", "A B"]


async def live_through(url, outage, times):
    acknowledged, progress, over = {}, asyncio.Semaphore(0), asyncio.Event()
    async with Runtime(AGENTS, patient(url)) as runtime:
        events = runtime.supervisor.subscribe()
        async with asyncio.TaskGroup() as producers:
            for number in range(PRODUCERS):
                life = produce(runtime, f"t{number}", acknowledged, progress, over)
                producers.create_task(life)
            for number in range(times):
                for _ in range(3 * PRODUCERS):
                    await progress.acquire()
                await asyncio.to_thread(outage, number)
            over.set()
        await check(runtime, acknowledged)
        while not (await runtime.supervisor.health()).ok:
            await anext(events)  # until it is told that the store works again
    return len(acknowledged)


@pytest.fixture
def url(postgres):
    yield postgres.new_database()
    postgres.start()


def test_restarts_of_the_server_lose_and_repeat_nothing(postgres, url):
    def restart(number):
        postgres.restart("immediate" if number % 2 else "fast")

    assert asyncio.run(live_through(url, restart, RESTARTS)) > 0


def test_connections_killed_in_the_middle_lose_and_repeat_nothing(postgres, url):
    assert asyncio.run(live_through(url, lambda _: postgres.kill_backends(), RESTARTS)) > 0


def test_while_the_server_is_away_nothing_is_admitted_and_then_it_goes_on(postgres, url):
    async def story():
        async with Runtime(AGENTS, patient(url)) as runtime:
            await runtime.create_and_wait("t", "echo", input="a")
            events = runtime.supervisor.subscribe()
            await asyncio.to_thread(postgres.stop, "fast")
            with pytest.raises(Unavailable):
                await runtime.create_run("t", "echo", input="b", run_id="r")
            assert not (await runtime.supervisor.health()).ok
            await asyncio.to_thread(postgres.start)
            async for event in events:
                if event.type == "store_recovered":
                    break

            run = await runtime.create_run("t", "echo", input="b", run_id="r")
            assert (await runtime.wait(run.run_id)).status == "success"
            assert (await runtime.supervisor.health()).ok

    asyncio.run(story())
