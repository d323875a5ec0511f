"""A store that does not answer: neither an error nor a result, for as long as it likes."""

import asyncio
import os
import signal
from contextlib import contextmanager

import pytest

from callboard import MemoryStore, Runtime, Settings
from callboard.domain import OutcomeUnknown, StoreUnavailable
from callboard.observers.journal import PATIENCE
from tests.durable.house import AGENTS, patient
from tests.durable.test_outages import PRODUCERS, check, produce
from tests.support import lifecycle, passes, staged, statuses, virtual

TIMEOUT = Settings().store_timeout
FROZEN = 3.0
"""Real seconds that a server does nothing."""


class HangingStore(MemoryStore):
    """Answers no commit while it hangs, and all of them when it does not any more."""

    def __init__(self):
        super().__init__()
        self.works = asyncio.Event()
        self.works.set()

    def commit(self, group):
        async def later():
            await self.works.wait()
            return MemoryStore.commit(self, group)

        return later()


@virtual
async def test_who_creates_a_run_is_told_at_last_that_nobody_knows_and_finds_it_once_later():
    store = HangingStore()
    async with staged(store=store) as (runtime, stage):
        store.works.clear()
        with pytest.raises(OutcomeUnknown, match=f"no answer for {TIMEOUT:g} seconds"):
            await runtime.create_run("t", "work", run_id="r")

        store.works.set()
        again = await runtime.create_run("t", "work", run_id="r")
        stage.release(again)

        assert again.reused
        assert (await runtime.wait("r")).status == "success"
        assert [run.run_id for run in await runtime.list_runs("t")] == ["r"]
        assert [number for number, _ in await lifecycle(runtime, again)] == [1, 2, 3, 4]


@virtual
async def test_when_it_hangs_for_long_new_runs_are_refused_at_once_until_it_answers():
    store = HangingStore()
    async with staged(store=store) as (runtime, _):
        store.works.clear()
        first = asyncio.ensure_future(runtime.create_run("t", "work"))
        await passes(2 * PATIENCE)
        asked = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable, match=r"no answer for 1\d seconds"):
            await runtime.create_run("u", "work", run_id="refused")
        assert asyncio.get_running_loop().time() == asked

        store.works.set()
        await first
        await runtime.create_run("u", "work", run_id="accepted")

        assert [run.run_id for run in await runtime.list_runs("u")] == ["accepted"]


@virtual
async def test_the_supervisor_says_that_it_hangs_and_that_it_answers_again():
    store = HangingStore()
    async with staged(store=store) as (runtime, _):
        events = aiter(runtime.supervisor.subscribe())
        store.works.clear()
        first = asyncio.ensure_future(runtime.create_run("t", "work"))
        failed = await anext(events)
        ill = await runtime.supervisor.health()
        store.works.set()
        recovered = await anext(events)
        await first
        well = await runtime.supervisor.health()

        assert (failed.type, recovered.type) == ("store_failed", "store_recovered")
        assert "no answer" in failed.error
        assert (ill.ok, ill.problems) == (False, (failed.error,))
        assert well.ok


@virtual
async def test_a_run_that_is_at_work_ends_when_it_answers_and_can_be_read_before():
    store = HangingStore()
    async with staged(store=store) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        store.works.clear()
        end = asyncio.ensure_future(runtime.wait(run.run_id))
        stage.release(run)
        await passes(10 * PATIENCE)
        before = await statuses(runtime, run)
        store.works.set()

        assert before == ["running"]
        assert (await end).status == "success"


@virtual
async def test_a_read_that_hangs_is_alone_with_it():
    store = MemoryStore()
    async with staged(store=store) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        answers = asyncio.Event()
        get = store.runs.get

        async def hanging(run_id, **options):
            if run_id == "nobody":
                await answers.wait()
            return await get(run_id, **options)

        store.runs.get = hanging
        read = asyncio.ensure_future(runtime.get_run("nobody"))
        await passes(10 * PATIENCE)
        stage.release(run)

        assert (await runtime.wait(run.run_id)).status == "success"
        assert await statuses(runtime, run) == ["success"]
        assert (await runtime.supervisor.health()).ok
        assert not read.done()
        answers.set()
        assert await read is None


@contextmanager
def frozen(server):
    """No process of a PostgreSQL server does anything, and none is born."""
    stopped = server.processes()[:1]
    os.kill(stopped[0], signal.SIGSTOP)
    stopped += server.processes()[1:]
    for pid in stopped[1:]:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_server_that_is_frozen_in_mid_run_delays_and_loses_nothing(postgres):
    async def story():
        acknowledged, progress, over = {}, asyncio.Semaphore(0), asyncio.Event()
        async with Runtime(AGENTS, patient(postgres.new_database())) as runtime:
            async with asyncio.TaskGroup() as producers:
                for number in range(PRODUCERS):
                    life = produce(runtime, f"t{number}", acknowledged, progress, over)
                    producers.create_task(life)
                await many(progress)
                with frozen(postgres):
                    before = len(acknowledged)
                    await asyncio.sleep(FROZEN)
                    # What it had answered by then may still have been on its way.
                    assert len(acknowledged) <= before + PRODUCERS
                await many(progress)
                over.set()
            await check(runtime, acknowledged)
            assert (await runtime.supervisor.health()).ok

    asyncio.run(story())


async def many(progress):
    for _ in range(5 * PRODUCERS):
        await progress.acquire()
