"""Processes that share a PostgreSQL database, when one of them is in trouble."""

import asyncio
import threading
from unittest import mock

import pytest

from callboard import Runtime
from callboard.domain import Fence, RunStatus, StoreOwned, StoreUnavailable, slot_of
from callboard.store.entries import Verdict
from callboard.store.sql import SqlStore
from callboard.store.sql.runs import SqlRunStore
from tests.durable.house import AGENTS
from tests.durable.test_owners import HIGH, LOW, owner, thread_in
from tests.store.contract import commit, event, inserted, run


@pytest.fixture
def url(postgres):
    return postgres.new_database()


def test_an_owner_that_connects_again_lives_on_when_its_old_session_ends(url):
    """The server notices the end of a session late: when its network is back, perhaps."""

    async def story():
        one, other = SqlStore(url, lease=1000.0), SqlStore(url)
        await one.open()
        await one.claim([1])
        lane = one._database.lane
        session, lane._connection = lane._connection, None
        assert await one.renew() == {1}
        await session.close()
        await other.open()

        with pytest.raises(StoreOwned):
            await other.claim([1])
        await one.close()
        await other.close()

    asyncio.run(story())


def test_a_process_that_freezes_in_a_transaction_does_not_keep_others_from_writing(url):
    frozen, thaw = threading.Event(), threading.Event()

    def freezes(connection, store):
        store._writer.reserve(connection, 0)
        frozen.set()
        assert thaw.wait(60)

    async def freezing():
        store = SqlStore(url, lease=1.5)
        await store.open()
        with pytest.raises(StoreUnavailable):
            await store.write("it", lambda c: freezes(c, store))
        await store.close()

    async def story():
        store, thread = SqlStore(url), thread_in(HIGH)
        await store.open()
        fence = Fence(slot_of(thread), await store.claim(HIGH))
        other = asyncio.create_task(asyncio.to_thread(asyncio.run, freezing()))
        await asyncio.to_thread(frozen.wait, 60)

        (outcome,) = await commit(store, inserted(fence, run("r", thread), event(1, "r", thread)))

        assert outcome.verdict is Verdict.APPLIED
        thaw.set()
        await other
        await store.close()

    asyncio.run(story())


def test_a_take_over_that_fails_behind_its_claim_is_made_again(url):
    theirs, calls, list_unfinished = thread_in(LOW), 0, SqlRunStore.list_unfinished

    async def fails_once(store):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StoreUnavailable("a query", "the server is away")
        return await list_unfinished(store)

    async def story(child):
        async with Runtime(AGENTS, url, slots=HIGH) as runtime:
            events = runtime.supervisor.subscribe()
            with mock.patch.object(SqlRunStore, "list_unfinished", fails_once):
                child.kill()
                child.wait()
                async for told in events:
                    if told.type == "slots_taken_over":
                        break
            assert (await runtime.wait(f"{theirs}-queued")).status is RunStatus.SUCCESS

    with owner(url, theirs, LOW) as other:
        asyncio.run(story(other))
    assert calls == 2
