"""Several processes on one PostgreSQL database: who owns what, and what becomes of the dead."""

import asyncio
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from callboard import Runtime
from callboard.domain import (
    Fence,
    Fenced,
    RunStatus,
    SlotNotOwned,
    StopReason,
    StoreOwned,
    StoreUnavailable,
    slot_of,
)
from callboard.store.entries import Entry, Verdict
from callboard.store.graph_checkpoints import GraphCheckpoint, GraphState, GraphWrite
from callboard.store.sql import SqlStore
from tests.durable.house import AGENTS, patient
from tests.store.contract import commit, event, save

PROGRAM = Path(__file__).parent / "owner.py"
WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
LOW, HIGH = range(128), range(128, 256)


def thread_in(slots, name="t"):
    return next(t for t in (f"{name}{n}" for n in range(1000)) if slot_of(t) in slots)


@pytest.fixture
def url(postgres):
    return postgres.new_database()


@contextmanager
def owner(url, thread, slots=range(256), lease=30.0):
    """Another process that owns slots and has a run at work on a thread, and one queued."""
    arguments = [url, slots.start, slots.stop, lease, thread]
    child = subprocess.Popen(
        [sys.executable, PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.send_signal(signal.SIGCONT)
        child.kill()
        child.wait()
        child.stdout.close()


def test_a_second_process_is_refused_and_told_who_has_it(url):
    async def story(pid):
        with pytest.raises(StoreOwned, match=f"process {pid} on host"):
            await Runtime(AGENTS, url).start()

    with owner(url, "t") as other:
        asyncio.run(story(other.pid))


def test_who_comes_after_a_process_that_was_killed_need_not_wait_for_its_lease(url):
    async def story():
        store = SqlStore(url, patience=20.0)  # the server notices the death, not the lease
        async with Runtime(AGENTS, store) as runtime:
            run = await runtime.get_run("t-running")
            assert (run.status, run.stop_reason) == (RunStatus.ERROR, StopReason.ORPHANED)
            assert (await runtime.wait("t-queued")).status is RunStatus.SUCCESS

    with owner(url, "t", lease=1000.0) as other:
        other.kill()
        other.wait()
        asyncio.run(story())


def test_an_owner_that_freezes_is_fenced_and_says_so_when_it_wakes(url):
    async def story(child):
        child.send_signal(signal.SIGSTOP)
        async with Runtime(AGENTS, SqlStore(url, patience=30.0)) as runtime:
            found = await runtime.get_run("t-running")
            assert found.stop_reason is StopReason.ORPHANED
            assert (await runtime.wait("t-queued")).status is RunStatus.SUCCESS
            log = await runtime.list_events("t", "t-running")
            child.send_signal(signal.SIGCONT)

            said = await asyncio.to_thread(child.communicate, timeout=30)
            assert await runtime.list_events("t", "t-running") == log
        return said[0].splitlines()

    with owner(url, "t", lease=1.5) as other:
        lines = asyncio.run(story(other))

    assert any(line.startswith("lost") for line in lines)
    assert "aborted t-running" in lines
    assert "refused RuntimeClosed" in lines


def test_a_process_takes_over_the_slots_of_one_that_died(url):
    theirs, mine = thread_in(LOW), thread_in(HIGH)

    async def story(child):
        async with Runtime(AGENTS, url, slots=HIGH) as runtime:
            assert (await runtime.create_and_wait(mine, "echo", input="a")).status == "success"
            with pytest.raises(SlotNotOwned, match=f"slot {slot_of(theirs)}"):
                await runtime.create_run(theirs, "echo", input="a")
            events = runtime.supervisor.subscribe()
            child.kill()
            child.wait()
            async for event in events:
                if event.type == "slots_taken_over":
                    break
            assert (await runtime.get_run(f"{theirs}-running")).status is RunStatus.ERROR
            assert (await runtime.wait(f"{theirs}-queued")).status is RunStatus.SUCCESS
            later = await runtime.create_and_wait(theirs, "echo", input="b")
            assert later.status is RunStatus.SUCCESS

    with owner(url, theirs, LOW) as other:
        asyncio.run(story(other))


def test_a_graceful_end_frees_the_slots_at_once(url):
    async def story():
        for _ in range(3):
            async with Runtime(AGENTS, SqlStore(url, lease=1000.0)) as runtime:
                await runtime.create_and_wait("t", "echo", input="a")

    asyncio.run(story())


def test_two_stores_that_claim_at_once_do_not_both_get_a_slot(url):
    async def story():
        stores = [SqlStore(url) for _ in range(4)]
        for store in stores:
            await store.open()
        claims = await asyncio.gather(
            *(store.claim([1, 2, 3]) for store in stores), return_exceptions=True
        )
        won = [claim for claim in claims if isinstance(claim, int)]
        assert len(won) == 1
        assert all(isinstance(claim, int | StoreOwned) for claim in claims)
        for store in stores:
            await store.close()

    asyncio.run(story())


def test_a_zombie_cannot_write_a_row(url):
    """Even one whose claim is taken while its transaction waits."""

    async def story():
        zombie, heir = SqlStore(url, lease=0.0), SqlStore(url)
        await zombie.open()
        old = await zombie.claim([slot_of("t")])
        await heir.open()
        new = await heir.claim([slot_of("t")])

        fence = Fence(slot_of("t"), old)
        (outcome,) = await commit(zombie, Entry(fence, events=(event(1),)))
        with pytest.raises(Fenced):
            await save(zombie, "t", "r", 1, fence)

        assert (outcome.verdict, new > old) == (Verdict.FENCED, True)
        assert await heir.events.read() == []
        assert slot_of("t") not in await zombie.renew()
        await zombie.close()
        await heir.close()

    asyncio.run(story())


def test_a_state_of_a_graph_is_not_written_for_another_owners_thread(url):
    state = GraphCheckpoint("t", "", "1", None, None, "bytes", b"x")
    write = GraphWrite("task", 0, "", "channel", "bytes", b"y")

    async def story():
        zombie, heir = SqlStore(url, lease=0.0), SqlStore(url)
        await zombie.open()
        await zombie.claim([slot_of("t")])
        await zombie.graph_checkpoints.save(state)
        await heir.open()
        await heir.claim([slot_of("t")])

        with pytest.raises(Fenced, match="Another runtime"):
            await zombie.graph_checkpoints.save(state._replace(state=b"late"))
        with pytest.raises(Fenced):
            await zombie.graph_checkpoints.save_writes("t", "", "1", [write])

        assert await heir.graph_checkpoints.find("t", "") == GraphState(state, ())
        await heir.graph_checkpoints.save_writes("t", "", "1", [write])
        await zombie.close()
        await heir.close()

    asyncio.run(story())


def test_a_slot_stays_where_it_is_while_a_state_of_a_graph_is_written(url):
    async def story():
        writing, heir = SqlStore(url, lease=0.0), SqlStore(url)
        await writing.open()
        await writing.claim([slot_of("t")])
        await heir.open()
        async with writing._database.reader.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            await connection.run_sync(writing._claims.hold, [slot_of("t")])
            claiming = asyncio.ensure_future(heir.claim([slot_of("t")]))
            while not (await connection.execute(WAITING)).scalar():
                assert not claiming.done()
            await connection.commit()
        assert await claiming > 0
        await writing.close()
        await heir.close()

    asyncio.run(story())


def test_a_state_of_a_graph_that_waits_for_a_claim_sees_the_new_owner(url):
    mine, foreign = thread_in(LOW), thread_in(HIGH)
    states = {
        name: GraphCheckpoint(name, "", "1", None, None, "b", b"x") for name in (mine, foreign)
    }

    async def story():
        zombie, heir = SqlStore(url, lease=0.0), SqlStore(url, lease=0.0)
        await zombie.open()
        await zombie.claim([slot_of(mine), slot_of(foreign)])
        await heir.open()
        async with heir._database.reader.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            await connection.run_sync(heir._claims.claim, [slot_of(foreign)])
            kept = zombie.graph_checkpoints
            saving = [asyncio.ensure_future(kept.save(state)) for state in states.values()]
            while not (await connection.execute(WAITING)).scalar():
                assert not any(each.done() for each in saving)
            await connection.commit()
        saved, refused = await asyncio.gather(*saving, return_exceptions=True)

        assert (saved, type(refused)) == (None, Fenced)
        assert await heir.graph_checkpoints.find(foreign, "") is None
        assert await heir.graph_checkpoints.find(mine, "") == GraphState(states[mine], ())
        await zombie.close()
        await heir.close()

    asyncio.run(story())


def test_owners_that_share_a_server_all_survive_its_restart(postgres, url):
    async def story():
        low = Runtime(AGENTS, patient(url), slots=LOW)
        high = Runtime(AGENTS, patient(url), slots=HIGH)
        async with low, high:
            for mode in ("fast", "immediate"):
                await asyncio.to_thread(postgres.restart, mode)
                for runtime, slots in ((low, LOW), (high, HIGH)):
                    result = await insist(runtime, thread_in(slots, mode))
                    assert result.status is RunStatus.SUCCESS
            assert (low.state, high.state) == ("running", "running")

    async def insist(runtime, thread_id):
        while True:
            try:
                await runtime.create_run(thread_id, "echo", input="a", run_id=thread_id)
                return await runtime.wait(thread_id)
            except StoreUnavailable:
                await asyncio.sleep(0.01)  # the server is away; it is asked again

    asyncio.run(story())
