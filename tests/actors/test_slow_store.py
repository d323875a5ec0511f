"""A store that takes its time, and sometimes fails: everything must wait for it, in order."""

import asyncio
import random

import pytest

from callboard.domain import CallboardError, OutcomeUnknown, StoreUnavailable
from callboard.observers import LifecycleEventType
from callboard.store import MemoryStore
from tests.support import collect, lifecycle, passes, staged, statuses, virtual

ENDS = {"run_completed", "run_failed", "run_cancelled"}


class SlowStore(MemoryStore):
    """Answers a commit after some virtual time; fails when its chance says so."""

    def __init__(self, seconds=1.0, seed=0, failures=0.0):
        super().__init__()
        self._seconds = seconds
        self._chance = random.Random(seed)
        self._failures = failures

    def commit(self, group):
        async def later():
            await passes(self._seconds * self._chance.random() * 2)
            if self._chance.random() < self._failures:
                raise OSError("the disk has gone away")
            return MemoryStore.commit(self, group)

        return later()


@virtual
async def test_a_run_aborted_while_it_waits_never_starts_though_its_turn_comes_meanwhile():
    async with staged(store=SlowStore(seconds=0.0)) as (runtime, stage):
        first = await runtime.create_run("t", "work")
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await stage.until_executing(first)
        runtime._store._seconds = 10.0
        stage.release(first, queued)
        await runtime.cancel(queued.run_id)
        await runtime.wait(queued.run_id)
        await runtime.wait(first.run_id)

        assert ("start", queued.run_id) not in stage.log
        assert await statuses(runtime, first, queued) == ["success", "interrupted"]
        assert [kind for _, kind in await lifecycle(runtime, queued)] == [
            "run_created",
            "run_cancelled",
        ]


@virtual
async def test_an_abort_between_the_stored_start_and_the_agent_ends_it_before_it_begins():
    async with staged(store=SlowStore(seconds=5.0)) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await runtime.cancel(run.run_id, wait=True)

        assert stage.log == []
        assert await statuses(runtime, run) == ["interrupted"]


@pytest.mark.parametrize("strategy", ["enqueue", "interrupt", "reject"])
@virtual
async def test_while_a_record_is_being_stored_the_next_decision_waits(strategy):
    async with staged(store=SlowStore(seconds=1.0)) as (runtime, _):
        answers = await asyncio.gather(
            *(runtime.create_run("t", "work", multitask_strategy=strategy) for _ in range(5)),
            return_exceptions=True,
        )

        accepted = [answer for answer in answers if not isinstance(answer, Exception)]
        assert len(accepted) == (1 if strategy == "reject" else 5)
        assert len(await runtime.list_runs("t")) == len(accepted)


@virtual
async def test_who_waits_too_long_for_the_store_is_told_that_the_outcome_is_unknown():
    async with staged(store=SlowStore(seconds=25.0)) as (runtime, _):
        with pytest.raises(OutcomeUnknown, match="no answer for 30 seconds"):
            await runtime.create_run("t", "work", run_id="r")

        again = await runtime.create_run("t", "work", run_id="r")

        assert again.reused
        assert len(await runtime.list_runs("t")) == 1


@virtual
async def test_nobody_hears_of_an_end_before_it_is_stored():
    heard = []

    async with staged(store=SlowStore(seconds=3.0)) as (runtime, stage):
        store = runtime._store

        async def told(what, run):
            heard.append((what, (await store.runs.get(run.run_id)).status.is_terminal))

        async def observer(event):
            if event.event_type is LifecycleEventType.RUN_COMPLETED:
                heard.append(("observer", (await store.runs.get(event.run_id)).status.is_terminal))

        async def waits(run):
            await runtime.wait(run.run_id)
            await told("wait", run)

        async def reads(run):
            await collect(runtime.stream(run.run_id))
            await told("stream", run)

        runtime.observe(observer)
        run = await runtime.create_run("t", "work")
        behind = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        work = asyncio.gather(waits(run), reads(run))
        stage.release(run)
        await stage.until_executing(behind)
        await told("successor", run)
        await work
        await passes(10)

    assert sorted(heard) == [
        ("observer", True),
        ("stream", True),
        ("successor", True),
        ("wait", True),
    ]


@pytest.mark.parametrize("failures", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(10))
@virtual
async def test_a_storm_over_a_slow_and_failing_store_keeps_every_rule(seed, failures):
    chance, store = random.Random(seed), SlowStore(0.5, seed, failures)
    async with staged(store=store, seed=seed, shuffled=True) as (runtime, stage):

        async def one(number):
            await passes(chance.random() * 10)
            strategy = chance.choice(["reject", "interrupt", "rollback", "enqueue"])
            run = await runtime.create_run(
                f"t{number % 2}",
                chance.choice(["slow", "failing"]),
                input={"seconds": chance.random()},
                multitask_strategy=strategy,
            )
            stage.release(run)
            if chance.random() < 0.3:
                await runtime.cancel(run.run_id, wait=chance.random() < 0.5)
            return run

        answers = await asyncio.gather(*(one(n) for n in range(40)), return_exceptions=True)
        runs = [answer for answer in answers if not isinstance(answer, Exception)]
        for run in runs:
            assert (await runtime.wait(run.run_id)).status.is_terminal
            events = await lifecycle(runtime, run)
            assert [sequence for sequence, _ in events] == list(range(1, len(events) + 1))
            assert sum(kind in ENDS for _, kind in events) == 1, f"seed {seed}"

        assert all(isinstance(a, CallboardError) for a in answers if isinstance(a, Exception))
        assert stage.overlaps == [], f"seed {seed}"
        assert await store.runs.list_inflight() == []


class FullStore(MemoryStore):
    """Takes nothing once it is full."""

    full = False

    def commit(self, group):
        if self.full:
            raise OSError("the disk is full")
        return super().commit(group)


@virtual
async def test_what_is_done_to_threads_and_ended_runs_is_refused_while_the_store_fails():
    async with staged(store=FullStore()) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        stage.release(run)
        await runtime.wait(run.run_id)
        runtime._store.full = True
        for refused in (
            runtime.create_thread("new"),
            runtime.update_thread("t", {"a": 1}),
            runtime.delete_run(run.run_id),
            runtime.delete_thread("t"),
        ):
            with pytest.raises(StoreUnavailable):
                await refused
        runtime._store.full = False
        await passes(60)
        assert await runtime.get_thread("new") is None
        assert await runtime.get_run(run.run_id) is not None
        assert await runtime.delete_thread("t")
