"""However a runtime ends, or fails to begin: its store is free for the next one."""

import asyncio
import sqlite3
from unittest import mock

import pytest

from callboard import Runtime
from callboard.domain import RunStatus, RuntimeClosed, StoreUnavailable
from callboard.store import MemoryStore
from callboard.store.sql import SqlStore
from callboard.store.sql.events import SqlEventLog
from callboard.store.sql.runs import SqlRunStore
from tests.durable.house import AGENTS, dies, opened_store, runtime_on, url_of
from tests.store.contract import event, inserted, own, run
from tests.support import passes, virtual

pytestmark = pytest.mark.leaves_tasks
"""A runtime that dies leaves tasks behind, on purpose."""

AWAY = StoreUnavailable("it", "the store is away")


async def works(url):
    async with Runtime(AGENTS, url) as runtime:
        result = await runtime.create_and_wait("t", "echo", input="a")
    return result.status is RunStatus.SUCCESS


@pytest.mark.parametrize(
    "fails", [(SqlStore, "claim"), (SqlEventLog, "head"), (SqlRunStore, "list_unfinished")]
)
def test_a_runtime_that_cannot_start_leaves_its_store_closed(tmp_path, fails):
    async def story():
        failing = mock.patch.object(*fails, side_effect=AWAY)
        with failing, pytest.raises(StoreUnavailable, match="is away"):
            await runtime_on(url_of(tmp_path)).start()
        assert await works(url_of(tmp_path))

    asyncio.run(story())


def test_a_runtime_whose_vital_actor_failed_closes_its_store(tmp_path):
    async def story():
        async with runtime_on(url_of(tmp_path)) as runtime:
            runtime.supervisor._house().collapse(RuntimeError("a defect"))
            with pytest.raises(RuntimeClosed, match="make a new one and recover"):
                await runtime.create_run("t", "echo", input="a")
        assert await works(url_of(tmp_path))

    asyncio.run(story())


class SlowStore(MemoryStore):
    """Takes three virtual seconds for each commit."""

    def commit(self, group):
        async def later():
            await passes(3)
            return MemoryStore.commit(self, group)

        return later()


@virtual
async def test_a_drain_waits_for_the_run_that_is_being_admitted_and_for_its_last_event():
    store = SlowStore()
    async with Runtime(AGENTS, store) as runtime:
        creating = asyncio.create_task(runtime.create_run("t", "echo", input="a"))
        await passes(1)

        assert await runtime.drain(1000) == ()

        run = await store.runs.get((await creating).run_id)
        assert run.status is RunStatus.SUCCESS
        log = await store.events.read()
        assert [e.content for e in log if e.event_type == "thread_status_updated"] == [
            {"status": "busy"},
            {"status": "idle"},
        ]


def test_dead_owners_are_forgotten(tmp_path):
    async def story():
        for _ in range(3):
            async with dies(runtime_on(url_of(tmp_path))):
                pass
        async with runtime_on(url_of(tmp_path)):
            with sqlite3.connect(tmp_path / "runs.db") as connection:
                (owners,) = connection.execute("SELECT count(*) FROM owners").fetchone()
            connection.close()
        return owners

    assert asyncio.run(story()) == 1


def test_a_group_is_stored_though_its_position_cannot_be_noted(tmp_path):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            fence = (await own(store))()
            with mock.patch("os.pwrite", side_effect=OSError(5, "the disk is worn")):
                (outcome,) = await store.commit([inserted(fence, run(), event(1))])
            assert (outcome.verdict, outcome.position) == ("applied", 1)
        async with opened_store(url_of(tmp_path)) as store:
            assert len(await store.events.read()) == 1

    asyncio.run(story())
