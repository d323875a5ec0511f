"""The supervisor: restarts, limits, crashes of actors, and the public API."""

import asyncio
import random
from itertools import pairwise

import pytest

from callboard.actors.messages import Record
from callboard.actors.run import RunActor
from callboard.actors.thread import ThreadActor
from callboard.domain.conflicts import ThreadQuarantined
from callboard.domain.errors import ActorCrashed, CallboardError
from callboard.domain.policies import RestartPolicy
from callboard.store import MemoryStore
from callboard.store.memory.runs import MemoryRunStore
from tests.support import collect, lifecycle, opened, passes, staged, statuses, virtual


def flaky(failures, times=None):
    """An agent that fails so many times, and notes when it began."""

    async def agent(run):
        if times is not None:
            times.append(asyncio.get_running_loop().time())
        yield "values", {"attempt": run.attempt}
        if run.attempt <= failures:
            raise ValueError(f"failure {run.attempt}")

    return agent


@virtual
async def test_by_default_an_agents_error_is_not_tried_again():
    async with opened({"agent": flaky(1)}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert (result.status, result.error) == ("error", "ValueError: failure 1")
        assert result.stop_reason is None


@virtual
async def test_a_failed_attempt_is_tried_again_with_exponential_backoff():
    times = []
    policy = RestartPolicy(max_restarts=3, backoff=1.0, jitter=0.0)
    async with opened({"agent": flaky(3, times)}, restart=policy) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        waits = [round(b - a) for a, b in pairwise(times)]
        assert waits == [1, 2, 4]
        assert [f.data["attempt"] for f in frames if f.event == "metadata"] == [1, 2, 3, 4]
        assert (await runtime.get_run(run.run_id)).attempt == 4
        kinds = [kind for _, kind in await lifecycle(runtime, run)]
        assert kinds.count("run_restarted") == 3
        assert kinds.count("run_started") == 1


@virtual
async def test_jitter_moves_the_backoff_by_its_share_and_follows_the_seed():
    async def delays(seed):
        times = []
        policy = RestartPolicy(max_restarts=1, backoff=10.0, jitter=0.5)
        async with opened({"agent": flaky(1, times)}, restart=policy, seed=seed) as runtime:
            await runtime.create_and_wait("t", "agent")
        return times[1] - times[0]

    first = await delays(1)

    assert 5 <= first <= 15
    assert await delays(1) == pytest.approx(first)
    assert await delays(2) != pytest.approx(first)


@virtual
async def test_beyond_the_limit_the_run_fails_with_the_last_error_and_the_history():
    policy = RestartPolicy(max_restarts=2, backoff=0.0)
    async with opened({"agent": flaky(9)}, restart=policy) as runtime:
        events = runtime.supervisor.subscribe()
        result = await runtime.create_and_wait("t", "agent")

        assert (result.status, result.stop_reason) == ("error", "restart_limit")
        assert result.error == "ValueError: failure 3"
        assert result.completion_data["attempts"] == [
            {"attempt": n, "error": f"ValueError: failure {n}"} for n in (1, 2, 3)
        ]
        seen = [(await anext(events)).type.value for _ in range(6)]
        assert seen.count("attempt_failed") == 3
        assert seen.count("attempt_restarted") == 2
        assert seen[-1] == "restart_limit_reached"


@virtual
async def test_restarts_outside_the_window_do_not_count():
    policy = RestartPolicy(max_restarts=1, within=5.0, backoff=10.0, jitter=0.0)
    async with opened({"agent": flaky(4)}, restart=policy) as runtime:
        assert (await runtime.create_and_wait("t", "agent")).status == "success"


@virtual
async def test_only_the_errors_the_policy_names_are_tried_again():
    policy = RestartPolicy(max_restarts=3, restart_on=(KeyError,))
    async with opened({"agent": flaky(1)}, restart=policy) as runtime:
        assert (await runtime.create_and_wait("t", "agent")).status == "error"


@virtual
async def test_a_restarted_attempt_finds_what_the_last_one_saved():
    found = []

    async def agent(run):
        found.append(await run.checkpoint.load())
        await run.checkpoint.save({"attempt": run.attempt})
        if run.attempt == 1:
            raise ValueError

    policy = RestartPolicy(max_restarts=1, backoff=0.0)
    async with opened({"agent": agent}, restart=policy) as runtime:
        await runtime.create_and_wait("t", "agent")

    assert found == [None, {"attempt": 1}]


@virtual
async def test_a_restart_keeps_the_queue_and_nobody_overtakes():
    policy = RestartPolicy(max_restarts=5, backoff=30.0)
    async with opened({"agent": flaky(3), "next": flaky(0)}, restart=policy) as runtime:
        first = await runtime.create_run("t", "agent")
        second = await runtime.create_run("t", "next", multitask_strategy="enqueue")
        await passes(40)
        assert await statuses(runtime, first, second) == ["running", "pending"]
        await runtime.wait(second.run_id)

        assert await statuses(runtime, first, second) == ["success", "success"]


@virtual
async def test_an_abort_during_the_backoff_takes_effect_at_once():
    policy = RestartPolicy(max_restarts=5, backoff=30.0)
    async with opened({"agent": flaky(9)}, restart=policy) as runtime:
        run = await runtime.create_run("t", "agent")
        await passes(1)
        began = asyncio.get_running_loop().time()

        assert await runtime.cancel(run.run_id, wait=True)

        assert asyncio.get_running_loop().time() - began < 1
        assert await statuses(runtime, run) == ["interrupted"]


@virtual
async def test_the_operator_restarts_an_executing_run():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)

        assert await runtime.supervisor.restart(run.run_id)

        await passes(1)
        stage.release(run)
        result = await runtime.wait(run.run_id)
        assert (result.status, (await runtime.get_run(run.run_id)).attempt) == ("success", 2)
        assert await runtime.supervisor.restart(run.run_id) is False
        assert stage.overlaps == []


@virtual
async def test_the_operator_fails_a_run_and_its_agent_unwinds_first():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "slow", input={"seconds": 3})
        await stage.until_executing(run)

        assert await runtime.supervisor.fail(run.run_id, "enough")

        result = await runtime.wait(run.run_id)
        assert (result.status, result.error) == ("error", "enough")
        assert result.stop_reason == "failed_by_operator"
        assert stage.log[-1] == ("end", run.run_id)


@virtual
async def test_stop_thread_aborts_its_runs_and_lets_its_actor_go():
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        second = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await stage.until_executing(first)

        stopped = await runtime.supervisor.stop_thread("t")

        assert set(stopped) == {first.run_id, second.run_id}
        assert await statuses(runtime, first, second) == ["interrupted", "interrupted"]
        await passes(1)
        assert (await runtime.supervisor.tree()).threads == ()


@virtual
async def test_the_tree_shows_threads_runs_attempts_and_observers():
    async with staged() as (runtime, stage):
        runtime.observe(lambda event: None, name="watcher")
        first = await runtime.create_run("t", "work")
        await runtime.create_run("t", "work", multitask_strategy="enqueue")
        await stage.until_executing(first)
        await passes(10)

        tree = await runtime.supervisor.tree()

        (thread,) = tree.threads
        assert (thread.thread_id, thread.status) == ("t", "busy")
        assert [(run.phase, run.attempt) for run in thread.runs] == [
            ("executing", 1),
            ("queued", 0),
        ]
        assert thread.runs[0].age >= 10
        assert [observer.name for observer in tree.observers] == ["watcher"]


def break_once(monkeypatch, actor, method, when=lambda message: True):
    """Have a handler fail, once."""
    original, failed = actor.handlers[method], []

    def handler(self, message):
        if not failed and when(message):
            failed.append(message)
            raise RuntimeError("a planted defect")
        return original(self, message)

    monkeypatch.setitem(actor.handlers, method, handler)
    return failed


@virtual
async def test_a_crashed_run_actor_is_reported_and_its_run_settled(monkeypatch):
    broken = break_once(monkeypatch, RunActor, Record)

    async def agent(run):
        try:
            run.message("ai", "hello")
            await asyncio.Event().wait()
        finally:
            await passes(2)

    async with opened({"agent": agent}) as runtime:
        events = runtime.supervisor.subscribe()
        run = await runtime.create_run("t", "agent")
        after = await runtime.create_run("t", "agent", multitask_strategy="enqueue")
        result = await runtime.wait(run.run_id)

        assert broken
        assert (result.status, result.stop_reason) == ("error", "actor_crashed")
        assert (await anext(events)).type == "run_actor_crashed"
        assert (await collect(runtime.stream(run.run_id)))[-1].event == "end"
        await runtime.cancel(after.run_id, wait=True)
        assert await runtime.thread_status("t") == "idle"


@pytest.mark.parametrize("message", ["Start", "Committed", "AttemptEnded", "Release", "Wait"])
@pytest.mark.parametrize("seed", range(3))
@virtual
async def test_wherever_a_run_actor_crashes_no_caller_waits_for_ever(monkeypatch, message, seed):
    kinds = {kind.__name__: kind for kind in RunActor.handlers}
    broken = break_once(monkeypatch, RunActor, kinds[message])
    async with opened({"agent": flaky(0)}, seed=seed, shuffled=True) as runtime:
        run = await runtime.create_run("t", "agent")
        with pytest.MonkeyPatch.context():
            try:
                result = await runtime.wait(run.run_id)
            except (CallboardError, RuntimeError):
                result = await runtime.wait(run.run_id)

        assert result.status.is_terminal
        assert broken
        again = await runtime.create_and_wait("t", "agent")
        assert again.status == "success"


@virtual
async def test_a_crashed_thread_actor_keeps_its_queue_and_the_running_agent(monkeypatch):
    async with staged() as (runtime, stage):
        first = await runtime.create_run("t", "work")
        queued = [
            await runtime.create_run("t", "work", multitask_strategy="enqueue") for _ in range(3)
        ]
        await stage.until_executing(first)
        events = runtime.supervisor.subscribe()
        runtime._house.registry.threads["t"].tell("no message of ours")
        kinds = {kind.__name__: kind for kind in ThreadActor.handlers}
        break_once(monkeypatch, ThreadActor, kinds["ThreadStatusQuery"])
        with pytest.raises(RuntimeError, match="planted"):
            await runtime.thread_status("t")

        assert (await anext(events)).type == "thread_restarted"
        assert await runtime.thread_status("t") == "busy"
        stage.release(first, *queued)
        await runtime.wait(queued[-1].run_id)
        started = [run_id for what, run_id in stage.log if what == "start"]
        assert started == [run.run_id for run in (first, *queued)]
        assert stage.overlaps == []


@pytest.mark.parametrize("message", ["Create", "Committed", "RunSettled"])
@virtual
async def test_wherever_a_thread_actor_crashes_callers_are_answered(monkeypatch, message):
    kinds = {kind.__name__: kind for kind in ThreadActor.handlers}
    async with staged() as (runtime, stage):
        broken = break_once(monkeypatch, ThreadActor, kinds[message])
        answers = await asyncio.gather(
            *(runtime.create_run("t", "failing", multitask_strategy="enqueue") for _ in range(3)),
            return_exceptions=True,
        )
        runs = await runtime.list_runs("t")
        results = [await runtime.wait(run.run_id) for run in runs]

        assert broken
        for answer in answers:
            if isinstance(answer, Exception):
                assert isinstance(answer, ActorCrashed | RuntimeError)
        assert all(result.status.is_terminal for result in results)
        assert stage.overlaps == []


@virtual
async def test_a_thread_that_crashes_again_and_again_is_quarantined_and_others_go_on(monkeypatch):
    async with staged() as (runtime, stage):
        running = await runtime.create_run("t", "work")
        await stage.until_executing(running)
        kinds = {kind.__name__: kind for kind in ThreadActor.handlers}
        query, original = (
            kinds["ThreadStatusQuery"],
            ThreadActor.handlers[kinds["ThreadStatusQuery"]],
        )

        def broken(self, message):
            if self._thread_id == "t":
                raise RuntimeError("a planted defect")
            return original(self, message)

        with monkeypatch.context() as planted:
            planted.setitem(ThreadActor.handlers, query, broken)
            for _ in range(4):
                with pytest.raises(RuntimeError, match="planted"):
                    await runtime.thread_status("t")
                await passes(0.1)

        with pytest.raises(ThreadQuarantined, match="planted"):
            await runtime.create_run("t", "work")
        result = await runtime.wait(running.run_id)
        assert (result.status, result.stop_reason) == ("error", "quarantined")
        other = await runtime.create_run("u", "work")
        await stage.until_executing(other)
        health = await runtime.supervisor.health()
        assert (health.ok, health.quarantined) == (False, ("t",))

        await runtime.supervisor.recover()
        assert (await runtime.supervisor.health()).ok
        new = await runtime.create_run("t", "work")
        await stage.until_executing(new)


@virtual
async def test_a_crash_of_the_journal_ends_the_runtime_and_says_so(monkeypatch):
    from callboard.observers.journal import JournalActor
    from callboard.observers.journal_messages import Bind

    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        waiting = asyncio.ensure_future(runtime.wait(run.run_id))
        await passes(1)
        break_once(monkeypatch, JournalActor, Bind)
        runtime._house.wiring.journal.tell(Bind(runtime._house.wiring.stream, None))

        with pytest.raises(CallboardError, match="failed"):
            await waiting
        assert runtime.state == "failed"
        health = await runtime.supervisor.health()
        assert (health.ok, health.state) == (False, "failed")
        with pytest.raises(CallboardError, match="planted"):
            await runtime.create_run("t", "work")
        assert (await runtime._store.runs.get(run.run_id)).status == "running"
        assert stage.log[-1] == ("end", run.run_id)


@virtual
async def test_a_crash_of_the_supervisor_ends_the_runtime_and_nobody_waits(monkeypatch):
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        waiting = asyncio.ensure_future(runtime.wait(run.run_id))
        await passes(1)
        supervisor = runtime._house.wiring.supervisor
        kinds = {kind.__name__: kind for kind in supervisor.actor_class.handlers}
        break_once(monkeypatch, supervisor.actor_class, kinds["ThreadIdle"])
        supervisor.tell(kinds["ThreadIdle"]("t"))

        with pytest.raises(CallboardError, match="failed"):
            await waiting
        assert runtime.state == "failed"
        assert (await runtime._store.runs.get(run.run_id)).status == "running"


@virtual
async def test_a_thread_that_cannot_be_loaded_answers_its_callers():
    class Unreadable(MemoryRunStore):
        broken = False

        async def load_thread(self, thread_id):
            if self.broken:
                raise OSError("cannot read")
            return await super().load_thread(thread_id)

    store = MemoryStore()
    store._runs.__class__ = Unreadable
    async with staged(store=store) as (runtime, stage):
        store.runs.broken = True
        for _ in range(3):
            with pytest.raises(CallboardError, match=r"cannot read|stopped"):
                await runtime.create_run("t", "work")
        store.runs.broken = False
        await runtime.supervisor.recover()
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)


@pytest.mark.parametrize("seed", range(10))
@virtual
async def test_under_random_crashes_every_run_ends_and_nothing_overlaps(monkeypatch, seed):
    chance = random.Random(seed)
    for actor in (RunActor, ThreadActor):
        for kind, handler in list(actor.handlers.items()):
            if kind.__name__ in ("Begin", "Recover", "Crashed"):
                continue

            def broken(self, message, handler=handler):
                if chance.random() < 0.02:
                    raise RuntimeError("a planted defect")
                return handler(self, message)

            monkeypatch.setitem(actor.handlers, kind, broken)
    from callboard.actors.wiring import Settings

    settings = Settings(crash_limit=1000, drain_timeout=0.0)
    async with staged(seed=seed, shuffled=True, settings=settings) as (runtime, stage):
        for number in range(30):
            strategy = ("enqueue", "interrupt", "reject", "rollback")[number % 4]
            try:
                run = await runtime.create_run(
                    f"t{number % 3}", "work", multitask_strategy=strategy
                )
            except (CallboardError, RuntimeError):
                continue
            if number % 2:
                stage.release(run)
            await passes(0.01)
        for thread in range(3):
            for run in await runtime._store.runs.list_by_thread(f"t{thread}"):
                stage.release(run)
        await passes(1000)

        left = await runtime._store.runs.list_inflight()
        assert left == [], f"seed {seed}"
        assert stage.overlaps == [], f"seed {seed}"
