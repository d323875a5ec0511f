"""Threads as such: their records, their deletion, and what is handed over to the next runtime."""

import asyncio
from contextlib import aclosing
from functools import partial

import pytest

from callboard import (
    MemoryStore,
    RunNotFound,
    Runtime,
    RuntimeClosed,
    ThreadBusy,
    ThreadNotFound,
    ThreadNotShared,
)
from callboard.domain import CancelAction, InvalidValue, RunStatus, ThreadExists
from tests.support import Stage, collect, opened, passes, staged, statuses, virtual

ROLLED_BACK = {"forget_on_rollback": True}


@virtual
async def test_a_thread_is_created_found_changed_and_deleted():
    async with staged() as (runtime, _):
        thread = await runtime.create_thread("t", metadata={"topic": "tea"}, user_id="ann")

        assert await runtime.get_thread("t") == thread
        assert await runtime.get_thread("t", user_id="bob") is None
        assert await runtime.search_threads(metadata={"topic": "tea"}) == [thread]
        assert (await runtime.update_thread("t", {"n": 1})).metadata == {"topic": "tea", "n": 1}
        assert await runtime.count_threads(user_id="ann", status="idle") == 1
        assert await runtime.delete_thread("t", user_id="bob") is False
        assert await runtime.delete_thread("t", user_id="ann") is True
        assert await runtime.get_thread("t") is None


@virtual
async def test_a_thread_is_not_created_twice_and_an_unknown_one_not_changed():
    async with staged() as (runtime, _):
        await runtime.create_thread("t")

        with pytest.raises(ThreadExists, match="'t'"):
            await runtime.create_thread("t")
        with pytest.raises(ThreadNotFound):
            await runtime.update_thread("u", {})
        with pytest.raises(InvalidValue, match="NUL"):
            await runtime.create_thread("u", metadata={"a": ["\x00"]})


@virtual
async def test_deleting_a_thread_waits_until_its_runs_have_unwound():
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "slow", input={"seconds": 5})
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await stage.until_executing(running)

        deleting = asyncio.create_task(runtime.delete_thread("t"))
        await passes(4)
        assert not deleting.done()
        assert stage.executing["t"] == [running.run_id]

        assert await deleting is True
        assert stage.executing["t"] == []
        assert ("start", queued.run_id) not in stage.log
        assert await runtime.get_run(running.run_id) is None
        assert await runtime.get_thread("t") is None


@virtual
async def test_a_run_that_comes_while_its_thread_is_deleted_finds_none():
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "slow", input={"seconds": 5})
        await stage.until_executing(running)
        deleting = asyncio.create_task(runtime.delete_thread("t"))
        await passes(1)

        with pytest.raises(ThreadNotFound):
            await runtime.create_run("t", "work", multitask_strategy="enqueue")

        assert await deleting is True
        again = await runtime.create_run("t", "failing")
        assert (await runtime.wait(again.run_id)).status is RunStatus.ERROR


@virtual
async def test_a_run_that_is_rolled_back_can_leave_no_record():
    async with staged() as (runtime, stage):
        kept = await runtime.create_run("t", "failing")
        await runtime.wait(kept.run_id)
        run = await runtime.create_run("t", "work", **ROLLED_BACK)
        await stage.until_executing(run)
        waiting = asyncio.create_task(runtime.wait(run.run_id))
        await passes(1)

        await runtime.cancel(run.run_id, "rollback", wait=True)

        assert (await waiting).status is RunStatus.INTERRUPTED
        assert await runtime.get_run(run.run_id) is None
        assert [each.run_id for each in await runtime.list_runs("t")] == [kept.run_id]
        assert await runtime.list_events("t", run.run_id) == []
        assert await runtime.thread_status("t") == "error"  # as it was before


@virtual
async def test_the_runs_that_a_rollback_supersedes_leave_no_record_before_the_next_starts():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "slow", input={"seconds": 3}, **ROLLED_BACK)
        await stage.until_executing(first)
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue", **ROLLED_BACK)

        last = await runtime.create_run("t", "work", multitask_strategy="rollback", **ROLLED_BACK)
        await stage.until_executing(last)

        assert await runtime.get_run(first.run_id) is None
        assert await runtime.get_run(queued.run_id) is None
        assert stage.overlaps == []


@virtual
async def test_a_run_that_is_only_interrupted_keeps_its_record():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work", **ROLLED_BACK)
        await stage.until_executing(run)

        await runtime.cancel(run.run_id, CancelAction.INTERRUPT, wait=True)

        assert await statuses(runtime, run) == ["interrupted"]


@virtual
async def test_a_stream_can_begin_behind_the_last_frame_there_is():
    gate = asyncio.Event()

    async def agent(run):
        yield "custom", 1
        await gate.wait()
        yield "custom", 2

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        async with aclosing(runtime.stream(run.run_id)) as all_frames:
            while (await anext(all_frames)).data != 1:
                pass
        late = asyncio.create_task(collect(runtime.stream(run.run_id, "$")))
        await passes(1)
        gate.set()

        assert [frame.event for frame in await late] == ["custom", "end"]
        assert (await late)[0].data == 2
        with pytest.raises(RunNotFound):
            await collect(runtime.stream("unknown", "$"))


@virtual
async def test_what_a_runtime_hands_over_is_in_flight_for_the_next_one():
    store, stage = MemoryStore(), Stage()
    async with opened(stage.agents(), store=store) as runtime:
        running = await runtime.create_run("t", "slow", input={"seconds": 0})
        await stage.until_executing(running)
        queued = await runtime.create_run("t", "failing", multitask_strategy="enqueue")

        await runtime.aclose(1.0, hand_over=True)

        left = [(await store.runs.get(run.run_id)).status for run in (running, queued)]
        assert left == ["running", "pending"]
        await passes(1)

    async with opened(stage.agents(), store=store) as runtime:
        await runtime.wait(queued.run_id)
        assert await statuses(runtime, running, queued) == ["error", "error"]
        assert (await runtime.get_run(running.run_id)).stop_reason == "orphaned"


def test_a_temporary_thread_is_gone_when_its_run_is_reported_ended(tmp_path):
    async def story():
        async def quick(run):
            return run.input

        async with Runtime({"quick": quick}, f"sqlite+aiosqlite:///{tmp_path}/runs.db") as runtime:
            for round_ in range(20):
                run = await runtime.create_run(
                    None, "quick", input=round_, scope="temporary_thread"
                )
                result = await runtime.wait(run.run_id)

                assert result.output == round_
                assert await runtime.get_thread(run.thread_id) is None, round_
                assert await runtime.get_run(run.run_id) is None, round_
                assert runtime.recall(run.run_id).output == round_

    asyncio.run(story())


# Threads that go with their runs.


@virtual
async def test_a_run_takes_no_thread_along_that_is_not_its_own():
    goes = {"scope": "temporary_thread"}
    async with opened({"work": succeed, "sleep": sleep}) as runtime:
        await runtime.wait((await runtime.create_run("t", "work")).run_id)
        await runtime.create_thread("bare")
        for thread in ("t", "bare"):
            with pytest.raises(ThreadNotShared, match="permanent"):
                await runtime.create_run(thread, "work", **goes)

        first = await runtime.create_run("u", "sleep", **goes)
        await runtime.create_run("u", "work", multitask_strategy="enqueue", **goes)
        with pytest.raises(ThreadNotShared, match="is temporary"):
            await runtime.create_run("u", "work", multitask_strategy="enqueue")
        await runtime.wait(first.run_id)
        await passes(1)
        assert await runtime.get_thread("u") is None

        kept = await runtime.create_run("u", "work")
        await runtime.wait(kept.run_id)
        with pytest.raises(ThreadNotShared):
            await runtime.create_run("u", "work", **goes)


@virtual
async def test_a_thread_that_is_recorded_beside_its_temporary_run_stays():
    async with opened({"sleep": sleep}) as runtime:
        run = await runtime.create_run("t", "sleep", scope="temporary_thread")
        rows = runtime._house.wiring.store.threads._rows
        await runtime.create_thread("other", metadata={"topic": "tea"})
        rows["t"] = rows["other"]  # as if it had been first
        assert (await runtime.wait(run.run_id)).status == "success"
        await passes(1)
        assert (await runtime.get_thread("t")).metadata == {"topic": "tea"}
        with pytest.raises(ThreadNotShared):
            await runtime.create_run("t", "sleep", scope="temporary_thread")


@virtual
async def test_a_thread_that_was_in_memory_before_it_was_recorded_knows_whose_it_is():
    async with opened({"work": succeed}) as runtime:
        await runtime.while_idle("t", succeed)
        await runtime.create_thread("t", user_id="ann")
        with pytest.raises(ThreadNotFound):
            await runtime.create_run("t", "work", user_id="bob")
        with pytest.raises(ThreadNotShared):
            await runtime.create_run("t", "work", user_id="ann", scope="temporary_thread")


# What no run may be beside.


@virtual
async def test_what_is_done_while_a_thread_is_idle_waits_for_nothing_and_lets_nothing_in():
    async with opened({"work": succeed}) as runtime:
        order, entered, done = [], asyncio.Event(), asyncio.Event()

        async def work(name):
            order.append(f"{name} begins")
            entered.set()
            await done.wait()
            order.append(f"{name} ends")
            return name

        first = asyncio.create_task(runtime.while_idle("t", partial(work, "first")))
        await entered.wait()
        second = asyncio.create_task(runtime.while_idle("t", partial(work, "second")))
        creating = asyncio.create_task(runtime.create_run("t", "work"))
        elsewhere = await runtime.create_run("u", "work")
        assert (await runtime.wait(elsewhere.run_id)).status == "success"
        await asyncio.sleep(10)
        assert order == ["first begins"]

        done.set()
        assert [await first, await second] == ["first", "second"]
        run = await creating
        assert order == ["first begins", "first ends", "second begins", "second ends"]
        assert (await runtime.wait(run.run_id)).status == "success"


@virtual
async def test_what_is_done_while_a_thread_is_idle_is_refused_beside_a_run_and_for_strangers():
    async with staged() as (runtime, _):
        run = await runtime.create_run("t", "slow", user_id="ann")
        with pytest.raises(ThreadBusy, match=run.run_id):
            await runtime.while_idle("t", never, user_id="ann")
        with pytest.raises(ThreadNotFound):
            await runtime.while_idle("t", never, user_id="bob")


@virtual
async def test_what_fails_while_a_thread_is_idle_is_its_askers_and_harms_no_thread():
    async def fail():
        raise ZeroDivisionError("mine")

    async with opened({"work": succeed}) as runtime:
        await runtime.while_idle("t", succeed)
        thread = runtime._house.registry.threads["t"].actor_inbox.actor
        with pytest.raises(ZeroDivisionError, match="mine"):
            await runtime.while_idle("t", fail)
        run = await runtime.create_run("t", "work")
        assert (await runtime.wait(run.run_id)).status == "success"
        assert runtime._house.registry.threads["t"].actor_inbox.actor is thread


@virtual
async def test_what_is_cancelled_while_a_thread_is_idle_is_its_askers_and_harms_no_thread():
    async def cancelled():
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    async with opened({"work": succeed}) as runtime:
        await runtime.while_idle("t", succeed)
        thread = runtime._house.registry.threads["t"].actor_inbox.actor
        with pytest.raises(asyncio.CancelledError):
            await runtime.while_idle("t", cancelled)
        await runtime.while_idle("t", succeed)
        assert runtime._house.registry.threads["t"].actor_inbox.actor is thread


@virtual
async def test_what_nobody_wants_any_more_is_not_done_while_a_thread_is_idle():
    async with opened({"work": succeed}) as runtime:
        slow = asyncio.create_task(runtime.while_idle("t", partial(asyncio.sleep, 5)))
        await passes(1)
        unwanted = asyncio.create_task(runtime.while_idle("t", never))
        await passes(1)
        unwanted.cancel()
        await slow
        assert await runtime.while_idle("t", succeed) == "done"


@virtual
async def test_what_is_done_while_a_thread_is_idle_is_cancelled_when_the_runtime_closes():
    cancelled, entered = asyncio.Event(), asyncio.Event()

    async def work():
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with staged() as (runtime, _):
        doing = asyncio.create_task(runtime.while_idle("t", work))
        await entered.wait()
    with pytest.raises(RuntimeClosed):
        await doing
    assert cancelled.is_set()


async def never():
    raise AssertionError("it was done")


async def succeed(*_):
    return "done"


async def sleep(_):
    await asyncio.sleep(60)


class NoException(BaseException):
    """What `pytest.fail` and its like raise."""


@pytest.mark.parametrize("error", [NoException, SystemExit, StopIteration])
@virtual
async def test_whatever_is_raised_while_a_thread_is_idle_is_its_askers(error):
    def fail():
        raise error("mine")

    async with opened({"work": succeed}) as runtime:
        with pytest.raises(RuntimeError if error is StopIteration else error, match="mine"):
            await runtime.while_idle("t", fail)
        run = await runtime.create_run("t", "work")
        assert (await runtime.wait(run.run_id)).status == "success"
