"""The admission rules, one test each, named after the rule."""

import asyncio

import pytest

from callboard.domain.conflicts import ConflictError, IdempotencyConflict, QueueFullError
from callboard.domain.errors import UnsupportedStrategyError
from callboard.store import MemoryStore
from tests.support import lifecycle, passes, staged, statuses, virtual


@virtual
async def test_rule_01_reject_names_thread_and_active_run_and_disturbs_nothing():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        await stage.until_executing(first)
        head = await runtime._store.events.head()

        with pytest.raises(ConflictError) as refused:
            await runtime.create_run("t", "work", multitask_strategy="reject")

        assert refused.value.thread_id == "t"
        assert refused.value.active_run_id == first.run_id
        assert await runtime._store.events.head() == head
        assert [r.run_id for r in await runtime.list_runs("t")] == [first.run_id]
        assert await statuses(runtime, first) == ["running"]


@virtual
async def test_rule_01_reject_looks_at_its_own_thread_only():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t1", "work")
        second = await runtime.create_run("t2", "work")
        await stage.until_executing(second)

        assert await statuses(runtime, first, second) == ["running", "running"]


@virtual
async def test_rule_02_interrupt_aborts_every_run_in_flight_and_starts_when_they_unwound():
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "slow", input={"seconds": 3})
        await stage.until_executing(running)
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")

        new = await runtime.create_run("t", "work", multitask_strategy="interrupt")

        assert new.status == "pending"
        assert await statuses(runtime, running, new) == ["running", "pending"]
        await stage.until_executing(new)
        assert stage.log == [
            ("start", running.run_id),
            ("end", running.run_id),
            ("start", new.run_id),
        ]
        assert await statuses(runtime, running, queued) == ["interrupted", "interrupted"]
        assert (await runtime.get_run(running.run_id)).action == "interrupt"


@virtual
async def test_rule_02_interrupt_keeps_what_the_aborted_run_did():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work", input="first")
        await stage.until_executing(first)
        await runtime.cancel(first.run_id, "interrupt", wait=True)

        assert await runtime._store.checkpoints.load("t") == {"by": "first"}


@virtual
async def test_rule_03_rollback_restores_the_state_before_the_aborted_run():
    async with staged() as (runtime, stage):
        before = await runtime.create_run("t", "work", input="before")
        stage.release(before)
        await runtime.wait(before.run_id)
        aborted = await runtime.create_run("t", "work", input="aborted")
        await stage.until_executing(aborted)
        assert await runtime._store.checkpoints.load("t") == {"by": "aborted"}

        new = await runtime.create_run("t", "failing", multitask_strategy="rollback")
        await runtime.wait(new.run_id)

        assert await runtime._store.checkpoints.load("t") == {"by": "before"}
        record = await runtime.get_run(aborted.run_id)
        assert (record.status, record.action) == ("interrupted", "rollback")


@virtual
async def test_rule_04_enqueue_is_first_in_first_out_and_goes_on_after_failures_and_aborts():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        others = [
            await runtime.create_run("t", agent, multitask_strategy="enqueue")
            for agent in ("failing", "work", "failing", "work")
        ]
        await runtime.cancel(others[1].run_id)
        stage.release(first, *others)
        for run in (first, *others):
            await runtime.wait(run.run_id)

        started = [run_id for what, run_id in stage.log if what == "start"]
        assert started == [r.run_id for r in (first, others[0], others[2], others[3])]
        assert await statuses(runtime, *others) == ["error", "interrupted", "error", "success"]


@virtual
async def test_rule_04_the_queue_is_bounded():
    async with staged(max_queued_runs=2) as (runtime, stage):
        first = await runtime.create_run("t", "work")
        await stage.until_executing(first)
        for _ in range(2):
            await runtime.create_run("t", "work", multitask_strategy="enqueue")

        with pytest.raises(QueueFullError) as full:
            await runtime.create_run("t", "work", multitask_strategy="enqueue")

        assert (full.value.thread_id, full.value.limit) == ("t", 2)
        assert len(await runtime.list_runs("t")) == 3


@pytest.mark.parametrize("strategy", ["reject", "interrupt", "rollback", "enqueue"])
@virtual
async def test_rule_05_on_an_idle_thread_every_strategy_is_accepted(strategy):
    async with staged() as (runtime, stage):
        for _ in range(2):
            run = await runtime.create_run("t", "work", multitask_strategy=strategy)
            stage.release(run)
            assert (await runtime.wait(run.run_id)).status == "success"


@virtual
async def test_rule_05_an_unknown_strategy_is_refused_before_anything_happens():
    async with staged() as (runtime, stage):
        with pytest.raises(UnsupportedStrategyError, match="'merge'"):
            await runtime.create_run("t", "work", multitask_strategy="merge")

        assert await runtime.list_runs("t") == []
        assert stage.log == []


@pytest.mark.parametrize("seed", range(10))
@virtual
async def test_rule_06_of_ten_concurrent_rejects_exactly_one_is_accepted(seed):
    async with staged(seed=seed, shuffled=True) as (runtime, _):
        answers = await asyncio.gather(
            *(runtime.create_run("t", "work") for _ in range(10)), return_exceptions=True
        )

        accepted = [a for a in answers if not isinstance(a, Exception)]
        assert len(accepted) == 1, f"seed {seed}"
        assert sum(isinstance(a, ConflictError) for a in answers) == 9
        assert len(await runtime.list_runs("t")) == 1


@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_rule_06_a_storm_of_mixed_strategies_ends_terminal_without_overlap(seed):
    async with staged(seed=seed, shuffled=True) as (runtime, stage):
        strategies = ["reject", "interrupt", "rollback", "enqueue"] * 8
        agents = ["slow", "failing", "slow"]

        async def one(number, strategy):
            await passes(number % 5)
            run = await runtime.create_run(
                "t",
                agents[number % 3],
                input={"seconds": number % 3},
                multitask_strategy=strategy,
            )
            stage.release(run)
            return run

        work = [one(number, strategy) for number, strategy in enumerate(strategies)]
        answers = await asyncio.gather(*work, return_exceptions=True)
        runs = [a for a in answers if not isinstance(a, Exception)]
        results = [await runtime.wait(run.run_id) for run in runs]

        assert all(isinstance(a, ConflictError) for a in answers if isinstance(a, Exception))
        assert all(result.status.is_terminal for result in results), f"seed {seed}"
        assert stage.overlaps == [], f"seed {seed}"
        assert await runtime.thread_status("t") in ("idle", "error")


@virtual
async def test_rule_07_a_create_that_returns_is_stored():
    store = MemoryStore()
    async with staged(store=store) as (runtime, _):
        run = await runtime.create_run("t", "work", input={"a": 1})

        stored = await store.runs.get(run.run_id)
        assert stored.request == run.request
        assert (1, "run_created") in await lifecycle(runtime, run)


@virtual
async def test_rule_08_an_idempotency_key_seen_before_names_the_same_run():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work", idempotency_key="k")
        for strategy in ("reject", "interrupt", "enqueue"):
            again = await runtime.create_run(
                "t", "work", idempotency_key="k", multitask_strategy=strategy
            )
            assert (again.run_id, again.reused) == (first.run_id, True)
        assert first.reused is False
        stage.release(first)
        assert (await runtime.wait(first.run_id)).status == "success"

        again = await runtime.create_run("t", "work", idempotency_key="k")

        assert (again.run_id, again.status) == (first.run_id, "success")
        assert len(await runtime.list_runs("t")) == 1


@virtual
async def test_rule_08_of_concurrent_creates_with_one_key_exactly_one_is_new():
    async with staged() as (runtime, _):
        runs = await asyncio.gather(
            *(
                runtime.create_run("t", "work", idempotency_key="k", multitask_strategy="interrupt")
                for _ in range(5)
            )
        )

        assert len({run.run_id for run in runs}) == 1
        assert [run.reused for run in runs].count(False) == 1


@virtual
async def test_rule_08_a_run_id_of_another_thread_is_refused():
    async with staged() as (runtime, _):
        await runtime.create_run("t1", "work", run_id="mine")

        with pytest.raises(IdempotencyConflict):
            await runtime.create_run("t2", "work", run_id="mine")

        assert await runtime.list_runs("t2") == []


@virtual
async def test_rule_09_a_delayed_run_starts_when_it_is_due_and_counts_as_in_flight():
    async with staged() as (runtime, stage):
        loop = asyncio.get_running_loop()
        began = loop.time()
        delayed = await runtime.create_run("t", "work", after_seconds=60)
        with pytest.raises(ConflictError):
            await runtime.create_run("t", "work")

        await stage.until_executing(delayed)

        assert 60 <= loop.time() - began < 61


@virtual
async def test_rule_09_a_delayed_run_does_not_hold_up_those_that_are_due():
    async with staged() as (runtime, stage):
        delayed = await runtime.create_run("t", "work", after_seconds=60)
        prompt = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        stage.release(delayed, prompt)
        await runtime.wait(delayed.run_id)

        assert [r for what, r in stage.log if what == "start"] == [prompt.run_id, delayed.run_id]


@virtual
async def test_rule_09_aborting_a_delayed_run_takes_effect_at_once():
    async with staged() as (runtime, stage):
        loop = asyncio.get_running_loop()
        delayed = await runtime.create_run("t", "work", after_seconds=3600)
        began = loop.time()

        assert await runtime.cancel(delayed.run_id, wait=True)

        assert loop.time() - began < 1
        assert stage.log == []
        assert await statuses(runtime, delayed) == ["interrupted"]


@virtual
async def test_rule_10_what_the_caller_gave_travels_with_the_run_unchanged():
    given = {
        "input": {"text": "hi"},
        "metadata": {"a": [1, 2]},
        "config": {"configurable": {"x": 1}},
        "context": {"who": "me"},
        "command": {"resume": "yes"},
        "stream_mode": ("values", "updates"),
        "interrupt_before": ("node",),
        "interrupt_after": "*",
    }
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work", follow_up_to_run_id="earlier", **given)
        await stage.until_executing(run)

        context = stage.contexts[run.run_id]
        stored = (await runtime.get_run(run.run_id)).request
        assert {name: getattr(context, name) for name in given} == given
        assert {name: getattr(stored, name) for name in given} == given
        assert stored.follow_up_to_run_id == "earlier"
