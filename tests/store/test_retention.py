"""What pruning deletes, and what it leaves alone."""

import asyncio
from datetime import datetime

import pytest
from sqlalchemy.dialects import sqlite

from callboard.domain import InvalidValue, RunUsage, slot_of
from callboard.store import RunCompletion
from callboard.store.sql import SqlStore, retention
from callboard.store.sql.retention import Pruned
from tests.store.contract import (
    PENDING,
    RUNNING,
    STORES,
    SUCCESS,
    at,
    changed,
    commit,
    contract,
    ids,
    inserted,
    message,
    move,
    own,
    run,
)

FAR = at(10_000)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_store(request):
    """Makes an empty, open store in a database."""
    return STORES[request.param](request)


@pytest.fixture
def small(monkeypatch):
    """Makes transactions and pages so small that a few runs fill several of them."""
    monkeypatch.setattr(retention, "_CHUNK_RUNS", 2)
    monkeypatch.setattr(retention, "_CHUNK_EVENTS", 10)
    monkeypatch.setattr(retention, "_PAGE", 3)


@pytest.fixture
def deletions(monkeypatch):
    """What each transaction of a deletion has deleted."""
    results, write = [], SqlStore.write

    async def noted(self, what, work):
        result = await write(self, what, work)
        if what == "a deletion" and not isinstance(result, bool):
            results.append(result)
        return result

    monkeypatch.setattr(SqlStore, "write", noted)
    return results


async def begun(store, fence, run_id, thread_id="t", *, count=2, **fields):
    """A run that is running, with so many messages."""
    messages = [message(n, run_id, thread_id) for n in range(1, count + 1)]
    await commit(
        store,
        inserted(fence(thread_id), run(run_id, thread_id, **fields)),
        changed(fence(thread_id), move(PENDING, RUNNING, run_id), *messages),
    )


async def ended(store, fence, run_id, thread_id="t", *, minute=1, count=2, **fields):
    """A run that has ended at that minute, with so many messages."""
    await begun(store, fence, run_id, thread_id, count=count, **fields)
    usage = RunCompletion(RunUsage(total_tokens=7, tokens_by_model={"m": 7}))
    end = move(RUNNING, SUCCESS, run_id, minute=minute, completion=usage)
    await commit(store, changed(fence(thread_id), end))


async def runs_on(store, thread_id="t"):
    """The runs of a thread, the oldest first."""
    return ids(await store.runs.list_by_thread(thread_id))[::-1]


def size(connection):
    return connection.exec_driver_sql("PRAGMA page_count").scalar_one()


@contract
async def test_runs_that_ended_before_a_moment_are_deleted_with_their_events_and_tokens(store):
    fence = await own(store)
    for minute in (1, 2, 3):
        await ended(store, fence, f"r{minute}", minute=minute)

    assert await store.prune(before=at(2)) == Pruned(runs=1, events=2)

    assert await runs_on(store) == ["r2", "r3"]
    assert {event.run_id for event in await store.events.read()} == {"r2", "r3"}
    assert (await store.runs.aggregate_tokens_by_thread("t")).total_tokens == 14


@contract
async def test_of_each_thread_those_that_ended_last_are_kept(store):
    fence = await own(store, "t", "u")
    for thread, count in (("t", 4), ("u", 1)):
        for minute in range(1, count + 1):
            await ended(store, fence, f"{thread}{minute}", thread, minute=minute)

    assert await store.prune(keep=2) == Pruned(runs=2, events=4)

    assert await runs_on(store, "t") == ["t3", "t4"]
    assert await runs_on(store, "u") == ["u1"]


@contract
async def test_with_both_rules_a_run_goes_when_either_says_so(store):
    fence = await own(store, "t", "u")
    for thread in ("t", "u"):
        for minute in (1, 2, 3):
            late = 0 if thread == "t" else 10
            await ended(store, fence, f"{thread}{minute}", thread, minute=minute + late)

    assert (await store.prune(before=at(3), keep=2)).runs == 3

    assert await runs_on(store, "t") == ["t3"]
    assert await runs_on(store, "u") == ["u2", "u3"]


@contract
async def test_runs_in_flight_are_never_deleted(store):
    fence = await own(store)
    await begun(store, fence, "running")
    await commit(store, inserted(fence(), run("pending")))
    await ended(store, fence, "ended")

    assert (await store.prune(before=FAR, keep=0)).runs == 1

    assert sorted(await runs_on(store)) == ["pending", "running"]
    assert len(await store.events.list_events_by_run("running")) == 2


@contract
async def test_a_thread_that_was_pruned_counts_on_and_takes_new_runs(store):
    fence = await own(store)
    await ended(store, fence, "r1", user="anna", key="k")
    (*_, last) = await store.events.read()

    await store.prune(keep=0)
    await ended(store, fence, "r2", user="bert", key="k")

    first, *_ = await store.events.list_messages("t", user_id="bert")
    assert first.seq > last.seq
    assert first.position > last.position
    assert (await store.runs.load_thread("t")).owner == "bert"


@contract
async def test_a_thread_that_was_pruned_counts_on_in_the_next_process_too(store):
    await ended(store, await own(store), "r1")
    (*_, last) = await store.events.read()
    await store.prune(keep=0)
    await store.close()

    again = SqlStore(store.place.url.render_as_string(hide_password=False))
    await again.open()
    await ended(again, await own(again), "r2")
    first, *_ = await again.events.list_messages("t")
    await again.close()

    assert first.seq > last.seq


@contract
async def test_a_run_can_be_created_again_after_it_was_pruned(store):
    fence = await own(store)
    await ended(store, fence, "r")
    await store.prune(keep=0)

    await ended(store, fence, "r", count=3)

    assert len(await store.events.list_events_by_run("r")) == 3


@contract
async def test_many_runs_are_deleted_in_small_transactions(store, small, deletions):
    fence = await own(store, "t", "u")
    for number in range(7):
        await ended(store, fence, f"t{number}", minute=number, count=3)
    await ended(store, fence, "u", "u", minute=6)

    assert await store.prune(before=at(6)) == Pruned(runs=6, events=18)

    assert await runs_on(store, "t") == ["t6"]
    assert await runs_on(store, "u") == ["u"]
    assert sum((each for each in deletions if isinstance(each, Pruned)), Pruned()).runs == 6
    assert all(each.runs <= 2 and each.events <= 10 for each in deletions)


@contract
async def test_a_long_run_is_deleted_bit_by_bit(store, small, deletions):
    fence = await own(store)
    await ended(store, fence, "long", count=35)
    await ended(store, fence, "short", minute=2, count=2)
    last = (await store.events.read())[34]

    assert await store.prune(before=at(2)) == Pruned(runs=1, events=35)

    assert await runs_on(store) == ["short"]
    assert len(deletions) >= 4
    assert all((each.events if isinstance(each, Pruned) else each) <= 10 for each in deletions)
    assert {event.run_id for event in await store.events.read()} == {"short"}
    await ended(store, fence, "next", count=1)
    assert (await store.events.list_messages_by_run("next"))[0].seq > last.seq


@contract
async def test_events_of_a_run_that_went_on_meanwhile_stay(store, small):
    fence = await own(store)
    await commit(store, inserted(fence(), run("late")))
    await ended(store, fence, "early", count=15)
    await commit(store, changed(fence(), move(PENDING, RUNNING, "late"), message(1, "late")))
    await commit(store, changed(fence(), move(RUNNING, SUCCESS, "late"), message(2, "late")))
    await begun(store, fence, "live", count=4)

    assert await store.prune(keep=0) == Pruned(runs=2, events=17)

    assert await runs_on(store) == ["live"]
    assert [event.run_id for event in await store.events.read()] == ["live"] * 4


@contract
async def test_pruning_again_deletes_nothing(store):
    await ended(store, await own(store), "r")
    await store.prune(keep=0)

    assert await store.prune(before=FAR, keep=0) == Pruned(runs=0, events=0)


@contract
@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({}, "give a moment, or keep, or both"),
        ({"before": datetime(2030, 1, 1)}, "with its time zone"),  # noqa: DTZ001 - the point
        ({"before": "yesterday"}, "before is 'yesterday'"),
        ({"keep": -1}, "0 or more"),
        ({"keep": 1.5}, "keep is 1.5"),
        ({"keep": float("nan")}, "keep is nan"),
        ({"keep": True}, "keep is True"),
        ({"keep": "1"}, "keep is '1'"),
    ],
)
async def test_a_choice_that_means_nothing_is_refused(store, choice, text):
    with pytest.raises(InvalidValue, match=text):
        await store.prune(**choice)


def test_a_file_gets_smaller(tmp_path):
    async def prune():
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/runs.db", durability="process")
        await store.open()
        await ended(store, await own(store), "r", count=3000)
        before = await store.write("a look", size)
        await store.prune(keep=0)
        after = await store.write("a look", size)
        await store.close()
        return before, after

    before, after = asyncio.run(prune())

    assert after < before / 2


def test_threads_of_another_process_are_left_to_it(postgres):
    async def prune():
        url = postgres.new_database()
        theirs, ours = SqlStore(url), SqlStore(url)
        await theirs.open()
        await ours.open()
        await ended(theirs, await own(theirs, "theirs"), "r1", "theirs")
        await ended(ours, await own(ours, "ours"), "r2", "ours")
        pruned = await ours.prune(keep=0)
        left = await runs_on(ours, "theirs")
        await theirs.close()
        after = await ours.prune(keep=0)
        await ours.close()
        return pruned.runs, left, after.runs

    assert slot_of("theirs") != slot_of("ours")
    assert asyncio.run(prune()) == (1, ["r1"], 1)


@pytest.mark.parametrize("keep", [None, 3])
def test_ended_runs_are_found_by_their_index(tmp_path, keep):
    query = retention._Choice(FAR, keep).query()
    behind = retention._behind(query, retention._Ended(7, 7, 7, "r", "t", 1, 2))

    async def plan(chosen):
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/runs.db")
        await store.open()
        sql = chosen.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        explained = f"EXPLAIN QUERY PLAN {sql}"
        rows = await store.write("a plan", lambda c: c.exec_driver_sql(explained).all())
        await store.close()
        return [row.detail for row in rows]

    for chosen in (query, behind):
        steps = asyncio.run(plan(chosen))
        assert "USING INDEX ix_runs_ended" in steps[0]
        assert all("SCAN" not in step for step in steps[1:])
        assert not any("TEMP B-TREE" in step for step in steps)
    assert steps[0].startswith("SEARCH")
