"""The connection that writes: who gives up, fails or comes too late harms nobody else."""

import asyncio
import threading
from contextlib import asynccontextmanager
from unittest import mock

import pytest
from sqlalchemy import Connection

from callboard.domain import InvalidValue
from callboard.store.entries import Entry, Verdict
from callboard.store.sql import SqlStore
from callboard.store.sql.event_writer import EventWriter
from tests.durable.house import opened_store, url_of
from tests.store.contract import event, inserted, message, numbers, own, run

LANES = pytest.mark.parametrize("lane", ["thread", "async"])


@asynccontextmanager
async def opened_on(url, lane):
    store = SqlStore(url, writer=lane)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@LANES
def test_what_a_caller_gave_up_that_then_failed_is_remembered_by_nobody(tmp_path, lane):
    begun, failing = threading.Event(), threading.Event()

    def fail(_):
        begun.set()
        failing.wait(10 if lane == "thread" else 0)
        raise ConnectionResetError("the disk is gone")

    async def given_up(store, group):
        with mock.patch.object(Connection, "commit", fail):
            given = asyncio.create_task(store.commit(group))
            await asyncio.to_thread(begun.wait, 10)
            given.cancel()
            await asyncio.wait([given])
        behind = asyncio.ensure_future(store._database.lane.run(lambda _: None))
        failing.set()
        await behind

    async def story():
        async with opened_on(url_of(tmp_path), lane) as store:
            fence = (await own(store))()
            group = [inserted(fence, run(), event(1))]
            await given_up(store, group)

            outcomes = await store.commit(group)
            assert [outcome.verdict for outcome in outcomes] == [Verdict.APPLIED]
            assert numbers(await store.events.read()) == [1]

    asyncio.run(story())


def test_a_write_that_fails_takes_nothing_from_the_group_behind_it(tmp_path):
    inside, told, add = threading.Event(), threading.Event(), EventWriter.add_fresh

    def waits_until_the_failure_is_told(self, *arguments):
        inside.set()
        assert told.wait(10)
        return add(self, *arguments)

    def fails(_):
        raise ZeroDivisionError

    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            fence = (await own(store))()
            await store.commit([inserted(fence, run(), event(1))])
            failing = asyncio.ensure_future(store.write("it", fails))
            failing.add_done_callback(lambda _: told.set())
            waits = mock.patch.object(EventWriter, "add_fresh", waits_until_the_failure_is_told)
            with waits:
                group = [Entry(fence, events=(event(2), message(1)))]
                behind = asyncio.ensure_future(store.commit(group))
                await asyncio.sleep(0)  # the lane has both
                inside.wait(10)  # and nobody has heard of the first yet
                (outcome,) = await behind
            assert isinstance(failing.exception(), InvalidValue)

            assert outcome.verdict is Verdict.APPLIED, outcome.error
            assert numbers(await store.events.read()) == [1, 2, 1]

    asyncio.run(story())


@LANES
def test_a_lane_that_is_closed_refuses_work_at_once(tmp_path, lane):
    async def story():
        async with opened_on(url_of(tmp_path), lane) as store:
            closed = store._database.lane
        with pytest.raises(Exception, match="the store was closed"):
            await asyncio.wait_for(closed.run(lambda _: None), 10)

    asyncio.run(story())
