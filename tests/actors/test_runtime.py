"""The life of a runtime, and of its threads, as a host sees it."""

import asyncio
import threading
from contextlib import suppress

import pytest

from callboard import InvalidValue, Runtime
from callboard.domain.conflicts import ConflictError
from callboard.domain.errors import RuntimeClosed, RuntimeStarted, ThreadNotFound, WrongLoop
from callboard.domain.store_errors import StoreOwned, StoreUnavailable
from callboard.store import MemoryStore
from tests.support import Stage, collect, opened, passes, staged, statuses, virtual


async def echo(run):
    return run.input


@virtual
async def test_starting_twice_is_refused_and_the_first_start_stands():
    async with opened({"echo": echo}) as runtime:
        with pytest.raises(RuntimeStarted):
            await runtime.start()

        assert (await runtime.create_and_wait("t", "echo", input=1)).output == 1


@virtual
async def test_before_start_and_after_close_every_call_says_what_to_do():
    runtime = Runtime({"echo": echo})
    with pytest.raises(RuntimeClosed, match=r"not started.*async with"):
        await runtime.create_run("t", "echo")
    async with runtime:
        pass
    assert runtime.state == "closed"
    for call in (
        runtime.create_run("t", "echo"),
        runtime.wait("r"),
        runtime.cancel("r"),
        runtime.get_run("r"),
        runtime.thread_status("t"),
        runtime.supervisor.tree(),
        runtime.start(),
    ):
        with pytest.raises(RuntimeClosed, match="closed"):
            await call
    await runtime.aclose()
    assert (await runtime.supervisor.health()).state == "closed"


@virtual
async def test_closing_lets_runs_finish_within_the_drain_timeout():
    stage, store = Stage(), MemoryStore()
    async with Runtime(stage.agents(), store, drain_timeout=30) as runtime:
        runs = [await runtime.create_run("t", "slow", input={"seconds": 5})]
        runs.append(
            await runtime.create_run(
                "t", "slow", input={"seconds": 5}, multitask_strategy="enqueue"
            )
        )
        stage.release(*runs)

    assert [(await store.runs.get(run.run_id)).status for run in runs] == ["success"] * 2


@virtual
async def test_closing_aborts_what_is_left_when_the_drain_timeout_is_over():
    stage, store = Stage(), MemoryStore()
    loop = asyncio.get_running_loop()
    async with Runtime(stage.agents(), store, drain_timeout=30) as runtime:
        running = await runtime.create_run("t", "slow", input={"seconds": 2})
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await stage.until_executing(running)
        began = loop.time()

    assert 32 <= loop.time() - began < 33
    for run in (running, queued):
        stored = await store.runs.get(run.run_id)
        assert (stored.status, stored.stop_reason) == ("interrupted", "shutdown")
    assert ("start", queued.run_id) not in stage.log


@pytest.mark.parametrize("hand_over", [False, True])
@virtual
async def test_closing_waits_for_delayed_runs_that_are_due_by_then_and_for_no_others(hand_over):
    stage, store = Stage(), MemoryStore()
    loop = asyncio.get_running_loop()
    runtime = Runtime(stage.agents(), store, drain_timeout=30)
    await runtime.start()
    soon = await runtime.create_run("t", "work", after_seconds=5)
    late = await runtime.create_run("u", "work", after_seconds=31)
    stage.release(soon, late)
    began = loop.time()
    await runtime.aclose(hand_over=hand_over)

    assert 5 <= loop.time() - began < 6
    assert (await store.runs.get(soon.run_id)).status == "success"
    assert (await store.runs.get(late.run_id)).status == ("pending" if hand_over else "interrupted")


@virtual
async def test_an_agent_that_ignores_its_abort_does_not_keep_the_runtime_open():
    stage = Stage()
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with Runtime(stage.agents(), drain_timeout=1, abort_grace=2) as runtime:
        run = await runtime.create_run("t", "stubborn")
        await stage.until_executing(run)

    assert loop.time() - began < 5


@virtual
async def test_while_draining_nothing_is_admitted_and_readers_are_served():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        draining = asyncio.ensure_future(runtime.drain(60))
        await passes(1)

        assert runtime.state == "draining"
        with pytest.raises(RuntimeClosed, match="closing"):
            await runtime.create_run("u", "work")
        assert (await runtime.get_run(run.run_id)).status == "running"
        stage.release(run)
        assert await draining == ()


@virtual
async def test_a_closing_runtime_drains_and_who_closes_it_again_waits_as_well():
    async def looks(run):
        await passes(5)
        return (await runtime.get_run(run.run_id)).status.value

    runtime = Runtime({"looks": looks})
    await runtime.start()
    run = await runtime.create_run("t", "looks")
    first = asyncio.ensure_future(runtime.aclose())
    second = asyncio.ensure_future(runtime.aclose(0.0))
    await passes(1)

    assert (runtime.state, first.done(), second.done()) == ("draining", False, False)
    assert (await runtime.wait(run.run_id)).output == "running"
    await asyncio.gather(first, second)
    assert runtime.state == "closed"
    await runtime.aclose()


@virtual
async def test_what_is_handed_over_unwinds_first_and_nothing_begins_meanwhile():
    stage, store = Stage(), MemoryStore()
    loop = asyncio.get_running_loop()
    runtime = Runtime(stage.agents(), store, abort_grace=10.0)
    await runtime.start()
    slow = await runtime.create_run("t", "slow", input={"seconds": 5})
    late = await runtime.create_run("u", "work", after_seconds=3)
    await stage.until_executing(slow)
    began = loop.time()
    await runtime.aclose(2.0, hand_over=True)

    assert 7 <= loop.time() - began < 8
    assert stage.executing == {"t": []}
    kept = [(await store.runs.get(run.run_id)).status for run in (slow, late)]
    assert kept == ["running", "pending"]


@virtual
async def test_an_agent_that_does_not_unwind_is_handed_over_after_its_grace():
    stage = Stage()
    loop = asyncio.get_running_loop()
    runtime = Runtime(stage.agents(), abort_grace=10.0)
    await runtime.start()
    run = await runtime.create_run("t", "stubborn")
    await stage.until_executing(run)
    began = loop.time()
    await runtime.aclose(2.0, hand_over=True)

    assert 12 <= loop.time() - began < 13
    stage.release(run)
    await passes(1)


@virtual
async def test_two_runtimes_in_one_process_do_not_know_of_each_other():
    async with opened({"a": echo}) as first, opened({"a": echo}, seed=1) as second:
        run = await first.create_run("t", "a", input=1)
        other = await second.create_run("t", "a", input=2)

        assert (await first.wait(run.run_id)).output == 1
        assert (await second.wait(other.run_id)).output == 2
        assert await second.get_run(run.run_id) is None


@virtual
async def test_a_second_runtime_on_one_store_ends_the_first_before_it_writes():
    store = MemoryStore()
    async with staged(store=store) as (first, stage):
        run = await first.create_run("t", "work")
        await stage.until_executing(run)
        async with staged(store=store) as (second, _):
            assert await statuses(second, run) == ["error"]
            assert (await second.get_run(run.run_id)).stop_reason == "orphaned"
            stage.release(run)
            await passes(1)
            assert first.state == "failed"
            assert await statuses(second, run) == ["error"]


def test_a_runtime_whose_loop_has_died_says_so():
    runtime = Runtime({"echo": echo})

    async def start():
        await runtime.start()

    asyncio.run(start())

    async def use():
        await runtime.create_run("t", "echo")

    assert runtime.state == "dead"
    with pytest.raises(RuntimeClosed, match="event loop has closed"):
        asyncio.run(use())
    asyncio.run(runtime.aclose())


def test_a_call_from_another_loop_is_refused_and_does_nothing():
    async def main():
        async with Runtime({"echo": echo}) as runtime:

            def elsewhere():
                asyncio.run(runtime.create_run("t", "echo"))

            with pytest.raises(WrongLoop, match=r"Runtime\.blocking"):
                await asyncio.to_thread(elsewhere)
            assert await runtime.list_runs("t") == []

    asyncio.run(main())


@virtual
async def test_a_caller_that_is_cancelled_while_it_creates_leaves_the_thread_as_it_was():
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "work")
        await stage.until_executing(running)
        creating = asyncio.ensure_future(
            runtime.create_run("t", "work", multitask_strategy="interrupt", run_id="new")
        )
        await asyncio.sleep(0)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        await passes(1)

        new = await runtime.get_run("new")
        assert new is None or (new.status, new.stop_reason) == ("interrupted", "withdrawn")
        assert await statuses(runtime, running) == ["running"]
        stage.release(running)
        assert (await runtime.wait(running.run_id)).status == "success"
        assert await runtime.thread_status("t") == "idle"


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("seed", range(3))
@virtual
async def test_whenever_its_caller_is_cancelled_a_run_is_not_left_in_flight(turns, seed):
    async with staged(seed=seed, shuffled=True) as (runtime, stage):
        creating = asyncio.ensure_future(runtime.create_run("t", "work", run_id="new"))
        for _ in range(turns):
            await asyncio.sleep(0)
        if creating.done():
            return
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        await passes(1)

        assert await runtime._store.runs.list_inflight() == []
        again = await runtime.create_run("t", "work")
        stage.release(again)
        assert (await runtime.wait(again.run_id)).status == "success"


class FailingStore(MemoryStore):
    """Refuses the entries that `refuses` picks."""

    refuses = staticmethod(lambda entry: False)

    def commit(self, group):
        if any(self.refuses(entry) for entry in group):
            raise OSError("the disk is full")
        return super().commit(group)


@virtual
async def test_when_the_store_does_not_take_a_replacement_the_old_run_is_untouched():
    store = FailingStore()
    async with staged(store=store) as (runtime, stage):
        running = await runtime.create_run("t", "work")
        await stage.until_executing(running)
        store.refuses = lambda entry: entry.insert is not None

        with pytest.raises(StoreUnavailable, match="the disk is full"):
            await runtime.create_run("t", "work", multitask_strategy="interrupt")

        assert not stage.contexts[running.run_id].abort.requested
        assert [run.run_id for run in await runtime.list_runs("t")] == [running.run_id]
        store.refuses = lambda entry: False
        new = await runtime.create_run("t", "work", multitask_strategy="interrupt")
        await stage.until_executing(new)


@virtual
async def test_an_end_that_the_store_does_not_take_is_told_to_nobody_until_it_does():
    store = FailingStore()
    async with staged(store=store) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        waiting = asyncio.ensure_future(runtime.wait(run.run_id))
        reading = asyncio.ensure_future(collect(runtime.stream(run.run_id)))
        behind = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        store.refuses = lambda entry: True
        stage.release(run, behind)
        await passes(60)

        assert not waiting.done()
        assert not reading.done()
        assert ("start", behind.run_id) not in stage.log
        assert not (await runtime.supervisor.health()).ok
        store.refuses = lambda entry: False
        assert (await waiting).status == "success"
        assert (await reading)[-1].event == "end"
        assert (await runtime.wait(behind.run_id)).status == "success"
        assert (await runtime.supervisor.health()).ok


@virtual
async def test_an_idle_thread_leaves_memory_and_the_next_message_brings_it_back():
    async with staged(passivate_after=60) as (runtime, stage):
        run = await runtime.create_run("t", "failing")
        await runtime.wait(run.run_id)
        await passes(120)
        assert (await runtime.supervisor.tree()).threads == ()
        assert await runtime.thread_status("t") == "error"

        again = await runtime.create_run("t", "work")
        stage.release(again)

        assert (await runtime.wait(again.run_id)).status == "success"


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_passivation_never_loses_a_message_that_arrives_while_the_thread_leaves(seed):
    async with opened({"echo": echo}, passivate_after=1.0, seed=seed, shuffled=True) as runtime:
        for number in range(40):
            result = await runtime.create_and_wait("t", "echo", input=number)
            assert result.output == number, f"seed {seed}"
            await passes(0.2 + number * 0.05)


@virtual
async def test_a_thread_with_a_delayed_run_does_not_leave_memory():
    async with staged(passivate_after=1.0) as (runtime, stage):
        run = await runtime.create_run("t", "work", after_seconds=600)
        stage.release(run)

        assert (await runtime.wait(run.run_id)).status == "success"


@virtual
async def test_a_stateless_run_leaves_its_record_but_no_state():
    async with staged() as (runtime, stage):
        run = await runtime.create_run(None, "work", scope="stateless", input=1)
        stage.release(run)
        result = await runtime.wait(run.run_id)

        assert result.output == {"by": 1}
        assert (await runtime.get_run(run.run_id)).status == "success"
        assert await runtime._store.checkpoints.load(run.thread_id) is None


@pytest.mark.parametrize("agent", ["work", "failing"])
@virtual
async def test_a_temporary_thread_is_deleted_when_its_run_has_ended(agent):
    async with staged() as (runtime, stage):
        run = await runtime.create_run(None, agent, scope="temporary_thread")
        waiting = asyncio.ensure_future(runtime.wait(run.run_id))
        reading = asyncio.ensure_future(collect(runtime.stream(run.run_id)))
        await passes(1)
        stage.release(run)

        assert (await waiting).status == ("success" if agent == "work" else "error")
        assert (await reading)[-1].event == "end"
        await passes(1)
        assert await runtime.get_run(run.run_id) is None
        assert await runtime.list_runs(run.thread_id) == []
        assert await runtime._store.events.list_events_by_run(run.run_id) == []
        assert (await runtime.supervisor.tree()).threads == ()


@virtual
async def test_another_users_thread_and_runs_do_not_exist():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work", user_id="ann")
        stage.release(run)
        await runtime.wait(run.run_id, user_id="ann")

        with pytest.raises(ThreadNotFound):
            await runtime.create_run("t", "work", user_id="bob")
        with pytest.raises(ThreadNotFound):
            await runtime.thread_status("t", user_id="bob")
        for call in (runtime.wait, runtime.cancel):
            with pytest.raises(LookupError):
                await call(run.run_id, user_id="bob")
        with pytest.raises(LookupError):
            await collect(runtime.stream(run.run_id, user_id="bob"))
        assert await runtime.get_run(run.run_id, user_id="bob") is None
        assert await runtime.list_runs("t", user_id="bob") == []
        assert await runtime.delete_run(run.run_id, user_id="bob") is False
        assert len(await runtime.list_runs("t")) == 1


@virtual
async def test_a_thread_without_owner_is_open_to_all():
    async with staged() as (runtime, stage):
        for user in (None, "ann", "bob"):
            run = await runtime.create_run("t", "work", user_id=user)
            stage.release(run)
            assert (await runtime.wait(run.run_id)).status == "success"


@virtual
async def test_cancel_many_aborts_what_all_criteria_name():
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "work")
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        other = await runtime.create_run("u", "work")
        await stage.until_executing(other)

        assert await runtime.cancel_many(thread_id="t", status="pending") == (queued.run_id,)
        await runtime.wait(queued.run_id)
        assert await runtime.cancel_many(thread_id="t", run_ids=[other.run_id]) == ()
        assert set(await runtime.cancel_many(status="all")) == {running.run_id, other.run_id}


@virtual
async def test_cancel_many_aborts_the_runs_it_names_and_none_whose_id_is_a_part_of_one():
    async with staged() as (runtime, stage):
        for run_id in ("2", "run-1", "run-12"):
            run = await runtime.create_run(f"of {run_id}", "work", run_id=run_id)
            await stage.until_executing(run)

        with pytest.raises(InvalidValue, match="run_ids is 'run-12'"):
            await runtime.cancel_many(run_ids="run-12")
        assert len(await runtime.list_in_flight()) == 3
        assert await runtime.cancel_many(run_ids=(each for each in [" run-12 "])) == ("run-12",)


@virtual
async def test_events_are_listed_by_the_names_of_their_categories():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        stage.release(run)
        await runtime.wait(run.run_id)

        told = await runtime.list_events("t", run.run_id, categories=["lifecycle"])

        assert {event.category for event in told} == {"lifecycle"}
        assert await runtime.list_events("t", run.run_id, categories=["frame"]) == []


@virtual
async def test_a_run_can_be_deleted_when_it_has_ended_and_not_before():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        with pytest.raises(Exception, match="still in flight"):
            await runtime.delete_run(run.run_id)
        stage.release(run)
        await runtime.wait(run.run_id)

        assert await runtime.delete_run(run.run_id) is True
        assert await runtime.delete_run(run.run_id) is False
        assert await runtime.list_events("t", run.run_id) == []
        with pytest.raises(LookupError):
            await collect(runtime.stream(run.run_id))


@virtual
async def test_callers_that_give_up_waiting_leave_nothing_behind():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        for _ in range(500):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(runtime.wait(run.run_id), 0.01)

        mailbox = runtime._house.registry.runs[run.run_id].actor_inbox
        assert len(mailbox.actor.book.waiters) <= 64
        assert mailbox.owed is None
        stage.release(run)
        assert (await runtime.wait(run.run_id)).status == "success"


@virtual
async def test_nothing_is_left_of_a_thousand_threads_when_they_have_gone():
    async with opened({"echo": echo}, passivate_after=10.0) as runtime:
        baseline = len(runtime._house.kernel)
        await asyncio.gather(
            *(runtime.create_and_wait(f"t{number}", "echo") for number in range(1000))
        )
        await passes(60)

        kernel, registry = runtime._house.kernel, runtime._house.registry
        assert len(kernel) == baseline
        assert kernel.tasks == 0
        assert (registry.threads, registry.runs) == ({}, {})


def test_closing_from_another_loop_is_refused_and_does_nothing():
    async def story():
        async with Runtime({"echo": echo}) as runtime:
            with pytest.raises(WrongLoop):
                await asyncio.to_thread(lambda: asyncio.run(runtime.aclose()))
            assert runtime.state == "running"
            assert (await runtime.create_and_wait("t", "echo")).status == "success"

    asyncio.run(story())


class TestBlocking:
    """`Runtime.blocking`, for hosts without an event loop."""

    def test_whoever_asks_while_it_closes_is_told(self):
        for _ in range(100):
            runtime = Runtime.blocking({"echo": echo})
            runtime.start()
            asking = [threading.Thread(target=_ask_until_closed, args=(runtime,)) for _ in range(4)]
            for thread in asking:
                thread.start()
            runtime.close()
            for thread in asking:
                thread.join(30)
            assert not any(thread.is_alive() for thread in asking)

    def test_before_start_and_after_close_it_says_so(self):
        runtime = Runtime.blocking({"echo": echo})
        with pytest.raises(RuntimeClosed, match=r"not started: call start\(\)"):
            runtime.get_run("r")
        assert runtime.supervisor.health().state == "not started"
        with runtime:
            assert runtime.supervisor.health().ok
        with pytest.raises(RuntimeClosed, match="closed: make a new one"):
            runtime.get_run("r")
        assert runtime.supervisor.health().state == "closed"

    def test_one_that_could_not_start_can_be_started_again(self, tmp_path):
        url = f"sqlite:///{tmp_path}/runs.db"
        runtime = Runtime.blocking({"echo": echo}, url)
        with Runtime.blocking({"echo": echo}, url), pytest.raises(StoreOwned):
            runtime.start()
        with runtime:
            assert runtime.create_and_wait("t", "echo").status == "success"

    def test_it_has_what_the_other_has(self):
        with Runtime.blocking({"echo": echo}) as runtime:
            runtime.create_thread("t")
            assert runtime.require_thread("t").thread_id == "t"
            assert runtime.while_idle("t", threading.get_ident) != threading.get_ident()
            assert runtime.recall("r") is None
            told = []
            runtime.observe(told.append, name="observer")
            runtime.forget_observer("observer")
            runtime.create_and_wait("t", "echo")
            assert told == []

    def test_it_runs_waits_streams_and_reads(self):
        async def agent(run):
            yield "values", run.input

        with Runtime.blocking({"agent": agent}) as runtime:
            run = runtime.create_run("t", "agent", input=1)
            assert runtime.wait(run.run_id).output == 1
            assert [f.event for f in runtime.stream(run.run_id)] == ["metadata", "values", "end"]
            frames = list(runtime.create_and_stream("t", "agent", input=2))
            assert frames[1].data == 2
            assert [r.status for r in runtime.list_runs("t")] == ["success", "success"]
            assert runtime.supervisor.health().ok
            assert [t.thread_id for t in runtime.supervisor.tree().threads] == ["t"]

    def test_many_os_threads_share_it_and_one_reject_wins(self):
        gate = threading.Event()

        def agent(run):
            gate.wait(30)

        with Runtime.blocking({"agent": agent}) as runtime:
            accepted, refused = [], []

            def create():
                try:
                    accepted.append(runtime.create_run("t", "agent"))
                except ConflictError as error:
                    refused.append(error)

            workers = [threading.Thread(target=create) for _ in range(10)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            gate.set()
            assert (len(accepted), len(refused)) == (1, 9)
            assert runtime.wait(accepted[0].run_id).status == "success"

    def test_use_after_close_and_a_second_start_are_refused(self):
        runtime = Runtime.blocking({"echo": echo})
        with pytest.raises(RuntimeClosed):
            runtime.create_run("t", "echo")
        with runtime, pytest.raises(RuntimeStarted):
            runtime.start()
        runtime.close()
        with pytest.raises(RuntimeClosed):
            runtime.create_run("t", "echo")
        assert runtime.state == "closed"

    def test_its_os_thread_is_gone_when_it_is_closed(self):
        before = {thread.name for thread in threading.enumerate()}
        with Runtime.blocking({"echo": echo}) as runtime:
            runtime.create_and_wait("t", "echo")
            assert "callboard-loop" in {thread.name for thread in threading.enumerate()}

        assert {thread.name for thread in threading.enumerate()} <= before


def _ask_until_closed(runtime):
    with suppress(RuntimeClosed):
        while True:
            runtime.list_runs("t")
