"""A COMMIT whose answer is lost: what became of the group is found out, and nothing repeats."""

import asyncio
from contextlib import contextmanager
from unittest import mock

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from callboard.domain import OutcomeUnknown, StoreUnavailable
from callboard.store.entries import Entry, Verdict
from callboard.store.sql.writer import Writer
from tests.durable.house import opened_store, runtime_on, url_of
from tests.store.contract import (
    PENDING,
    RUNNING,
    changed,
    event,
    inserted,
    message,
    move,
    numbers,
    own,
    run,
)


@contextmanager
def lost_commits(times=1, *, arrives):
    """The next COMMITs are not answered; whether they arrive is told."""
    left, commit = times, Connection.commit

    def losing(connection):
        nonlocal left
        left -= 1
        if left < 0:
            commit(connection)
            return
        if arrives:
            commit(connection)
        raise ConnectionResetError("the answer was lost")

    with mock.patch.object(Connection, "commit", losing):
        yield


def group_of(fence):
    return [
        inserted(fence, run("r1", key="k"), event(1, "r1"), event(2, "r1")),
        inserted(fence, run("r2"), event(1, "r2")),
        changed(fence, move(PENDING, RUNNING, "r1"), event(3, "r1"), message(1, "r1")),
        Entry(fence, events=(event(4, "r1"),)),
    ]


@pytest.mark.parametrize("arrives", [True, False])
def test_a_group_in_doubt_is_stored_once_and_answered_as_if_nothing_had_been(tmp_path, arrives):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            group = group_of((await own(store))())
            with lost_commits(arrives=arrives), pytest.raises(OutcomeUnknown, match="the answer"):
                await store.commit(group)
            outcomes = await store.commit(group)

            assert [outcome.verdict for outcome in outcomes] == [Verdict.APPLIED] * 4
            log = await store.events.read()
            assert [stored for o in outcomes for stored in o.events] == log
            assert numbers(log) == [1, 2, 1, 3, 1, 4]

    asyncio.run(story())


@pytest.mark.parametrize("arrives", [True, False])
def test_what_wrote_neither_event_nor_run_may_be_written_again(tmp_path, arrives):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            fence = (await own(store))()
            await store.commit([inserted(fence, run(status=RUNNING))])
            group = [changed(fence, move(RUNNING, RUNNING, attempt=3)), Entry(fence)]
            with lost_commits(arrives=arrives), pytest.raises(OutcomeUnknown):
                await store.commit(group)

            assert {o.verdict for o in await store.commit(group)} == {Verdict.APPLIED}
            assert (await store.runs.get("r")).attempt == 3

    asyncio.run(story())


def test_an_insert_without_events_in_doubt_is_no_duplicate_of_itself(tmp_path):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            group = [inserted((await own(store))(), run())]
            with lost_commits(arrives=True), pytest.raises(OutcomeUnknown):
                await store.commit(group)

            assert [o.verdict for o in await store.commit(group)] == [Verdict.APPLIED]

    asyncio.run(story())


@pytest.mark.parametrize("arrives", [True, False])
def test_a_group_with_one_bad_entry_in_doubt_goes_on_where_it_was(tmp_path, arrives):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            fence = (await own(store))()
            bad = Entry(fence, events=(event(7, content=object()),))
            group = [*group_of(fence), bad, Entry(fence, events=(event(5, "r1"),))]
            with lost_commits(arrives=arrives), pytest.raises(OutcomeUnknown):
                await store.commit(group)
            outcomes = await store.commit(group)

            verdicts = [outcome.verdict.value for outcome in outcomes]
            assert verdicts == ["applied"] * 4 + ["failed", "applied"]
            assert "JSON" in outcomes[4].error
            assert numbers(await store.events.read()) == [1, 2, 1, 3, 1, 4, 5]

    asyncio.run(story())


def test_a_transaction_that_fails_before_its_commit_has_written_nothing(tmp_path):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            group = group_of((await own(store))())
            lost = mock.patch.object(Writer, "commit", side_effect=OSError("the disk is gone"))
            with lost, pytest.raises(StoreUnavailable, match="the disk is gone") as caught:
                await store.commit(group)

            assert not isinstance(caught.value, OutcomeUnknown)
            assert await store.events.read() == []
            assert {o.verdict for o in await store.commit(group)} == {Verdict.APPLIED}

    asyncio.run(story())


async def insist(runtime, thread_id):
    """Create a run, asking again with the same id while the store is not available."""
    while True:
        try:
            return await runtime.create_run(thread_id, "echo", input="a b", run_id=thread_id)
        except StoreUnavailable:
            pass


@pytest.mark.parametrize("arrives", [True, False])
def test_runs_go_on_while_answers_are_lost(tmp_path, arrives):
    async def story():
        async with runtime_on(url_of(tmp_path)) as runtime:
            with lost_commits(3, arrives=arrives):
                runs = await asyncio.gather(*(insist(runtime, f"t{n}") for n in range(5)))
            results = [await runtime.wait(each.run_id) for each in runs]
            assert {result.status.value for result in results} == {"success"}
            for each in runs:
                stored = await runtime.list_events(each.thread_id, each.run_id)
                lifecycle = [e.sequence for e in stored if e.category == "lifecycle"]
                assert lifecycle == list(range(1, len(lifecycle) + 1))

    asyncio.run(story())


def test_a_group_in_doubt_is_not_taken_for_what_others_stored_in_its_place(tmp_path):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            group = group_of((await own(store))())
            with lost_commits(arrives=False), pytest.raises(OutcomeUnknown):
                await store.commit(group)
            await store.events.append([event(9, "another", "u")])

            assert {o.verdict for o in await store.commit(group)} == {Verdict.APPLIED}
            assert numbers(await store.events.read()) == [9, 1, 2, 1, 3, 1, 4]

    asyncio.run(story())


SLOW_COMMIT = (
    """
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$
""",
    """
CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON run_events
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()
""",
)


def test_a_commit_that_the_server_still_carries_out_is_waited_for(postgres):
    async def story():
        async with opened_store(postgres.new_database()) as store:
            fence = (await own(store))()
            await store.write("a trigger", lambda c: run_script(c, SLOW_COMMIT))
            group = [inserted(fence, run(), event(1))]
            with connection_lost_in_commit(), pytest.raises(OutcomeUnknown):
                await store.commit(group)

            assert [o.verdict for o in await store.commit(group)] == [Verdict.APPLIED]
            assert numbers(await store.events.read()) == [1]

    asyncio.run(story())


def run_script(connection, script):
    for statement in script:
        connection.exec_driver_sql(statement)


@contextmanager
def connection_lost_in_commit():
    """The connection is gone a moment after the COMMIT was sent."""
    commit = AsyncConnection.commit

    async def losing(connection):
        raw = await connection.get_raw_connection()
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, raw.driver_connection.terminate)
        await commit(connection)

    with mock.patch.object(AsyncConnection, "commit", losing):
        yield
