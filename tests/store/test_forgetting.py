"""What a store remembers of threads and runs is no more than it can trust."""

import asyncio

import pytest

from callboard.store import Entry
from callboard.store.sql import SqlStore, known
from tests.store.contract import (
    PENDING,
    RUNNING,
    changed,
    commit,
    contract,
    event,
    finish,
    inserted,
    message,
    move,
    numbers,
    own,
    put,
    run,
)


@pytest.fixture
def forgetful(monkeypatch):
    """Stores remember a few threads and runs only."""
    monkeypatch.setattr(known, "_MOST", 8)


@contract
async def test_a_thread_that_was_forgotten_while_a_run_of_it_was_not_counts_on(store, forgetful):
    threads = [f"t{number}" for number in range(12)]
    fence = await own(store, *threads)
    await commit(store, inserted(fence("t0"), run("first", "t0")))
    for thread in threads[1:7]:
        await store.events.append([message(1, f"r-{thread}", thread)])
    await commit(store, inserted(fence("t0"), run("second", "t0")))
    for thread in threads[7:]:
        await store.events.append([message(1, f"r-{thread}", thread)])

    for run_id in ("first", "second", "first"):
        number = 1 + len(await store.events.list_events_by_run(run_id))
        entry = Entry(fence("t0"), events=(event(number, run_id, "t0"),))
        (outcome,) = await commit(store, entry)
        assert outcome.verdict == "applied", outcome.error


@contract
async def test_a_group_of_more_runs_than_are_remembered_is_stored_whole(store, forgetful):
    threads = [f"t{number}" for number in range(20)]
    fence = await own(store, *threads)
    entries = [
        inserted(fence(thread), run(f"r-{thread}", thread), event(1, f"r-{thread}", thread))
        for thread in threads
    ]

    outcomes = await commit(store, *entries, *(changed(e.fence, begin(e)) for e in entries))

    assert {outcome.verdict for outcome in outcomes} == {"applied"}
    assert await store.events.head() == 20


def begin(entry):
    return move(PENDING, RUNNING, entry.insert.run_id)


@contract
async def test_the_events_of_a_run_that_a_host_has_ended_are_its_own_still(store):
    await put(store, run())
    await store.events.append([message(1), message(2)])
    await finish(store)

    assert numbers(await store.events.list_messages_by_run("r")) == [1, 2]
    assert await store.events.delete_by_run("r") == 2


def test_a_slot_that_was_another_process_s_meanwhile_is_read_anew(postgres):
    async def take_turns():
        url = postgres.new_database()
        ours, theirs = SqlStore(url), SqlStore(url)
        await ours.open()
        await theirs.open()
        try:
            for number, store in enumerate((ours, theirs, ours)):
                fence = (await own(store))()
                record, first = run(f"r{number}"), event(1, f"r{number}")
                (outcome,) = await commit(store, inserted(fence, record, first))
                yield outcome
                await store.release()
        finally:
            await ours.close()
            await theirs.close()

    async def outcomes():
        return [outcome async for outcome in take_turns()]

    found = asyncio.run(outcomes())

    assert [outcome.verdict for outcome in found] == ["applied"] * 3
    assert sorted({each.seq for outcome in found for each in outcome.events}) == [1, 2, 3]
