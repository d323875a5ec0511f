"""The abort rules, one test each, named after the rule."""

import asyncio
import threading

import pytest

from callboard.domain.errors import AttemptFenced, RunNotFound
from tests.support import collect, lifecycle, opened, passes, staged, statuses, virtual


@virtual
async def test_rule_11_an_aborted_queued_run_never_starts_and_those_behind_go_on():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        behind = await runtime.create_run("t", "work", multitask_strategy="enqueue")

        assert await runtime.cancel(queued.run_id, wait=True)

        stage.release(first, behind)
        await runtime.wait(behind.run_id)
        assert await statuses(runtime, first, queued, behind) == [
            "success",
            "interrupted",
            "success",
        ]
        assert ("start", queued.run_id) not in stage.log
        assert [kind for _, kind in await lifecycle(runtime, queued)] == [
            "run_created",
            "run_cancelled",
        ]


@virtual
async def test_rule_12_a_run_is_interrupted_only_when_its_agent_has_unwound():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "slow", input={"seconds": 5})
        await stage.until_executing(run)

        assert await runtime.cancel(run.run_id, wait=False) is True
        assert await statuses(runtime, run) == ["running"]
        context = stage.contexts[run.run_id]
        assert (context.abort.requested, context.abort.action) == (True, "interrupt")

        await runtime.wait(run.run_id)
        assert stage.log[-1] == ("end", run.run_id)
        assert await statuses(runtime, run) == ["interrupted"]


@virtual
async def test_rule_12_the_signal_is_set_before_the_task_is_cancelled():
    seen = []

    async def agent(run):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append((run.abort.requested, run.abort.action))
            raise

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        await passes(1)
        await runtime.cancel(run.run_id, "rollback", wait=True)

    assert seen == [(True, "rollback")]


@virtual
async def test_rule_12_with_wait_the_end_is_stored_when_cancel_returns():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "slow", input={"seconds": 5})
        await stage.until_executing(run)

        assert await runtime.cancel(run.run_id, wait=True) is True

        assert await statuses(runtime, run) == ["interrupted"]
        assert await runtime.thread_status("t") == "idle"


def test_rule_12_an_abort_reaches_a_plain_function_in_its_os_thread():
    from callboard import Runtime

    entered = threading.Event()

    def agent(run):
        entered.set()
        run.abort.wait_blocking(timeout=30)
        run.abort.raise_if_requested()

    async def main():
        async with Runtime({"agent": agent}) as runtime:
            run = await runtime.create_run("t", "agent")
            await asyncio.to_thread(entered.wait, 30)
            assert await runtime.cancel(run.run_id, wait=True)
            return await runtime.wait(run.run_id)

    assert asyncio.run(main()).status == "interrupted"


@virtual
async def test_rule_13_a_second_abort_is_idempotent():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "slow", input={"seconds": 5})
        await stage.until_executing(run)

        answers = [await runtime.cancel(run.run_id) for _ in range(3)]
        await runtime.wait(run.run_id)

        assert answers == [True, True, True]
        assert [kind for _, kind in await lifecycle(runtime, run)].count("run_cancelled") == 1


@pytest.mark.parametrize("actions", [("interrupt", "rollback"), ("rollback", "interrupt")])
@virtual
async def test_rule_13_rollback_upgrades_an_unfinished_interrupt_and_never_down(actions):
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "slow", input={"seconds": 5})
        await stage.until_executing(run)
        for action in actions:
            await runtime.cancel(run.run_id, action)
        await runtime.wait(run.run_id)

        assert (await runtime.get_run(run.run_id)).action == "rollback"


@virtual
async def test_rule_14_aborting_a_terminal_run_returns_false_and_changes_nothing():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        stage.release(run)
        await runtime.wait(run.run_id)
        before = await runtime.get_run(run.run_id)

        assert await runtime.cancel(run.run_id, "rollback", wait=True) is False
        assert await runtime.get_run(run.run_id) == before


@virtual
async def test_rule_14_an_unknown_run_is_not_found():
    async with staged() as (runtime, _):
        with pytest.raises(RunNotFound, match="nobody"):
            await runtime.cancel("nobody")


@pytest.mark.parametrize("seed", range(30))
@virtual
async def test_rule_15_finishing_in_the_instant_of_the_abort_gives_exactly_one_end(seed):
    async with staged(seed=seed, shuffled=True) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        stage.release(run)
        for _ in range(seed % 4):
            await asyncio.sleep(0)
        aborted = await runtime.cancel(run.run_id, wait=True)
        result = await runtime.wait(run.run_id)

        kinds = [kind for _, kind in await lifecycle(runtime, run)]
        ends = [k for k in kinds if k in ("run_completed", "run_failed", "run_cancelled")]
        assert ends == ["run_cancelled" if aborted else "run_completed"], f"seed {seed}"
        assert result.status == ("interrupted" if aborted else "success")


@virtual
async def test_rule_16_an_agent_that_raises_cancelled_error_by_itself_is_an_error():
    async def agent(run):
        raise asyncio.CancelledError

    async with opened({"agent": agent}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert result.status == "error"
        assert "CancelledError" in result.error


@virtual
async def test_rule_17_an_agent_that_ignores_its_abort_is_abandoned_and_the_thread_goes_on():
    async with staged(abort_grace=30.0) as (runtime, stage):
        events = runtime.supervisor.subscribe()
        loop = asyncio.get_running_loop()
        stuck = await runtime.create_run("t", "stubborn")
        await stage.until_executing(stuck)
        began = loop.time()
        new = await runtime.create_run("t", "work", multitask_strategy="interrupt")
        result = await runtime.wait(stuck.run_id)

        assert 30 <= loop.time() - began < 31
        assert (result.status, result.stop_reason) == ("interrupted", "abandoned")
        await stage.until_executing(new)
        assert (await anext(events)).type == "attempt_abandoned"
        assert (await runtime.supervisor.health()).abandoned == 1
        stage.release(stuck)
        assert (await anext(events)).type == "ghost_ended"
        assert (await runtime.supervisor.health()).abandoned == 0


@virtual
async def test_rule_17_what_a_fenced_agent_writes_goes_nowhere():
    caught = []

    async def agent(run):
        await run.checkpoint.save("before")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if run.fenced:
                    break
        for write in (
            lambda: run.emit("late", 1),
            lambda: run.message("ai", "late"),
            lambda: run.record_usage("m", 1, 1),
        ):
            with pytest.raises(AttemptFenced):
                write()
        with pytest.raises(AttemptFenced):
            await run.checkpoint.save("late")
        caught.append(run.run_id)

    async with opened({"agent": agent}, abort_grace=1.0) as runtime:
        run = await runtime.create_run("t", "agent")
        await passes(1)
        await runtime.cancel(run.run_id, wait=True)
        await passes(1)

        assert caught == [run.run_id]
        assert await runtime._store.checkpoints.load("t") == "before"
        assert await runtime.list_messages("t") == []
        frames = await collect(runtime.stream(run.run_id))
        assert [frame.event for frame in frames] == ["metadata", "end"]


@virtual
async def test_rule_18_a_run_past_its_timeout_ends_timeout():
    async with staged() as (runtime, stage):
        loop = asyncio.get_running_loop()
        run = await runtime.create_run("t", "work", timeout=7.5)
        await stage.until_executing(run)
        began = loop.time()
        result = await runtime.wait(run.run_id)

        assert 7.4 <= loop.time() - began < 8
        assert result.status == "timeout"
        assert "7.5" in result.error
        assert await runtime.thread_status("t") == "error"


@virtual
async def test_rule_18_waiting_in_the_queue_does_not_count_towards_the_timeout():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        queued = await runtime.create_run("t", "work", timeout=1, multitask_strategy="enqueue")
        await passes(10)
        stage.release(first, queued)

        assert (await runtime.wait(queued.run_id)).status == "success"


@pytest.mark.parametrize(("mode", "status"), [("cancel", "interrupted"), ("continue", "success")])
@virtual
async def test_rule_19_when_the_last_consumer_leaves_on_disconnect_decides(mode, status):
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work", on_disconnect=mode)
        streams = [runtime.stream(run.run_id) for _ in range(2)]
        for stream in streams:
            assert (await anext(stream)).event == "metadata"
        await stage.until_executing(run)

        await streams[0].aclose()
        await passes(1)
        assert await statuses(runtime, run) == ["running"]
        await streams[1].aclose()
        await passes(1)
        stage.release(run)

        result = await runtime.wait(run.run_id)
        assert result.status == status
        assert result.stop_reason == ("disconnected" if mode == "cancel" else None)


@virtual
async def test_rule_19_a_consumer_that_saw_the_end_aborts_nothing():
    async with staged() as (runtime, stage):
        async with await runtime.create_and_stream("t", "work") as stream:
            stage.release(stream.run_id)
            frames = await collect(stream)

        assert frames[-1].event == "end"
        assert (await runtime.wait(stream.run_id)).status == "success"
