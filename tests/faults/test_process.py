"""What a process can do to its own store: open it twice, fork, and forget to close it."""

import asyncio
import os
import signal

import pytest

from callboard import Runtime
from callboard.domain import StoreOwned, StoreUnavailable
from callboard.store.entries import Entry
from callboard.store.sql import SqlStore

from .agents import AGENTS_THAT_END
from .checker import Checker
from .lives import child, live, url_of


async def work(store):
    async with Runtime(AGENTS_THAT_END, store) as runtime:
        return await runtime.create_and_wait("t", "writer", input={"count": 2})


async def run_and_vanish(store):
    """Make a run, leave another at work, and end the loop without closing anything."""
    begun = asyncio.Event()

    async def endless(run):
        begun.set()
        await asyncio.Event().wait()

    runtime = Runtime({**AGENTS_THAT_END, "endless": endless}, store)
    await runtime.start()
    await runtime.create_and_wait("u", "writer", run_id="ended", input={"count": 2})
    await runtime.create_run("u", "endless", run_id="at work")
    await begun.wait()
    runtime._house.take_down()  # so that the end of the loop finds nothing to begin
    return runtime


async def statuses(store, thread):
    await store.open()
    runs = await store.runs.list_by_thread(thread)
    await store.close()
    return {run.run_id: run.status.value for run in runs}


@pytest.fixture
def url(tmp_path):
    return url_of(tmp_path / "runs.db")


def test_a_second_runtime_is_told_that_the_first_is_of_its_own_process(url):
    async def story():
        async with Runtime(AGENTS_THAT_END, url) as first:
            with pytest.raises(StoreOwned, match="this very process"):
                await work(url)
            return await first.create_and_wait("t", "writer", input={"count": 2})

    assert asyncio.run(story()).status == "success"


def test_a_store_may_be_closed_twice_and_opened_again(url):
    async def story():
        store = SqlStore(url)
        await store.close()
        for _ in range(3):
            await work(store)
            await store.close()
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.commit([Entry(None)])
        with pytest.raises(StoreUnavailable, match="not open"):
            await store.runs.get("r")
        return await statuses(store, "t")

    assert list(asyncio.run(story()).values()) == ["success"] * 3


@pytest.mark.parametrize("again", ["the same store", "another store"])
def test_a_store_whose_loop_ended_without_closing_it_goes_to_the_next_runtime(url, again):
    store = SqlStore(url)
    left = asyncio.run(run_and_vanish(store))
    assert left.state == "dead"

    heir = store if again == "the same store" else SqlStore(url)
    assert asyncio.run(work(heir)).status == "success"
    assert asyncio.run(statuses(heir, "u")) == {"ended": "success", "at work": "error"}


def test_a_store_whose_loop_ended_can_still_be_closed(url):
    store = SqlStore(url)
    asyncio.run(run_and_vanish(store))

    asyncio.run(store.close())

    assert live(url, "full", 0, 2)[1] == ["opened"]


def test_a_forked_child_is_refused_at_once_and_harms_neither_its_parent_nor_who_comes_after(url):
    with child("forker", url) as parent:
        parent.hear(3)
        (_, write, read, close, own), (_, status), (_, pid) = parent.said
        acknowledged = live(url, "full", 0, 300)
        os.kill(pid, signal.SIGUSR1)
        parent.hear(1)

    for name, text in (write, read):
        assert name == "StoreUnavailable"
        assert f"opened by process {parent.pid}, from which this one was forked" in text
    assert close is None
    assert own[0] == "StoreUnusable"
    assert "forked" in own[1]
    assert status == "success"
    assert Checker(url).check(acknowledged) == []
