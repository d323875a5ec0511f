"""Observers bound to a runtime: order, delivery, failures, replay."""

import asyncio

import pytest

from callboard.domain.errors import InvalidValue
from callboard.observers import observer_actor
from callboard.store import MemoryStore
from tests.support import lifecycle, opened, passes, staged, virtual


async def succeed(run):
    run.message("human", "hello")
    return run.input


class Recorder:
    """Notes what it is told; may be held at a gate, or fail on one type of event."""

    def __init__(self, fail_on=None):
        self.events = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail_on = fail_on

    async def on_event(self, event):
        await self.gate.wait()
        self.events.append(event)
        if event.event_type == self.fail_on:
            raise ValueError(f"refused {event.event_type}")

    def of(self, run):
        return [e for e in self.events if e.run_id == run.run_id]


async def told(runtime, run):
    """Wait until a run has ended and every observer has been told of it."""
    result = await runtime.wait(run.run_id)
    await passes(1)
    return result


@virtual
async def test_sequences_begin_at_one_without_gap_and_arrive_in_order():
    recorder = Recorder()
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(recorder)
        runs = [await runtime.create_run(f"t{n}", "agent") for n in range(5)]
        for run in runs:
            await told(runtime, run)

        for run in runs:
            seen = [(e.sequence, e.event_type.value) for e in recorder.of(run)]
            assert [sequence for sequence, _ in seen] == list(range(1, len(seen) + 1))
            assert seen == await lifecycle(runtime, run)
            assert "human_message" in {kind for _, kind in seen}


@virtual
async def test_events_are_frozen_aware_and_have_an_id_of_their_own():
    recorder = Recorder()
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(recorder)
        await told(runtime, await runtime.create_run("t", "agent"))

    assert len({e.event_id for e in recorder.events}) == len(recorder.events)
    assert all(e.occurred_at.utcoffset().total_seconds() == 0 for e in recorder.events)
    with pytest.raises(AttributeError):
        recorder.events[0].sequence = 7


@virtual
async def test_a_slow_observer_delays_neither_runs_nor_its_fellows():
    slow, quick = Recorder(), Recorder()
    slow.gate.clear()
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(slow)
        runtime.observe(quick)
        run = await runtime.create_run("t", "agent")
        result = await told(runtime, run)

        assert result.status == "success"
        assert len(quick.of(run)) == 6
        assert slow.events == []
        slow.gate.set()
        await passes(1)
        assert [e.event_id for e in slow.events] == [e.event_id for e in quick.events]


@virtual
async def test_an_optional_observer_that_raises_is_reported_and_goes_on():
    recorder = Recorder(fail_on="run_started")
    async with opened({"agent": succeed}) as runtime:
        events = runtime.supervisor.subscribe()
        runtime.observe(recorder, name="shaky")
        run = await runtime.create_run("t", "agent")
        result = await told(runtime, run)

        assert result.status == "success"
        assert len(recorder.of(run)) == 6
        event = await anext(events)
        assert (event.type, event.detail["observer"]) == ("observer_failed", "shaky")


@pytest.mark.parametrize("kind", ["run_created", "run_started", "human_message"])
@virtual
async def test_a_run_fails_with_the_error_of_an_observer_it_requires(kind):
    executed = []

    async def agent(run):
        executed.append(run.run_id)
        run.message("human", "hello")
        await passes(10)

    async with opened({"agent": agent}) as runtime:
        runtime.observe(Recorder(fail_on=kind), required=True)
        result = await runtime.create_and_wait("t", "agent")

        assert (result.status, result.stop_reason) == ("error", "observer_failed")
        assert result.error == f"ValueError: refused {kind}"
        assert bool(executed) == (kind == "human_message")


@virtual
async def test_a_run_waits_for_an_observer_it_requires():
    recorder, executed = Recorder(), []

    async def agent(run):
        executed.append([event.event_type for event in recorder.of(run)])

    async with opened({"agent": agent}) as runtime:
        runtime.observe(recorder, required=True)
        recorder.gate.clear()
        run = await runtime.create_run("t", "agent")
        await passes(10)
        assert executed == []

        recorder.gate.set()

        assert (await runtime.wait(run.run_id)).status == "success"
        assert executed == [["run_created", "thread_status_updated", "run_started"]]
        assert recorder.of(run)[-1].event_type in ("run_completed", "thread_status_updated")


@virtual
async def test_the_end_is_told_to_required_observers_before_anybody_else_hears_of_it():
    recorder = Recorder()

    async def agent(run):
        recorder.gate.clear()

    async with opened({"agent": agent}) as runtime:
        runtime.observe(recorder, required=True)
        run = await runtime.create_run("t", "agent")
        waiting = asyncio.ensure_future(runtime.wait(run.run_id))
        await passes(10)

        assert not waiting.done()
        recorder.gate.set()
        assert (await waiting).status == "success"


@virtual
async def test_a_late_observer_replays_the_log_and_follows_without_gap_or_duplicate():
    early, late = Recorder(), Recorder()
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(early)
        for number in range(20):
            await told(runtime, await runtime.create_run(f"t{number}", "agent"))
        runs = [runtime.create_run(f"u{number}", "agent") for number in range(20)]
        runtime.observe(late, replay=True)
        for run in await asyncio.gather(*runs):
            await told(runtime, run)

        assert [e.event_id for e in late.events] == [e.event_id for e in early.events]


@virtual
async def test_an_observer_hears_of_the_run_created_right_after_it_was_bound():
    async with opened({"agent": succeed}, shuffled=True) as runtime:
        recorder = Recorder()
        runtime.observe(recorder)
        run = await runtime.create_run("t", "agent")
        await told(runtime, run)

        assert recorder.of(run)[0].event_type == "run_created"


@virtual
async def test_an_observer_that_falls_behind_reads_the_log_instead_of_filling_memory(monkeypatch):
    monkeypatch.setattr(observer_actor.ObserverActor, "mailbox_capacity", 3)
    slow = Recorder()
    slow.gate.clear()
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(slow)
        for number in range(50):
            await told(runtime, await runtime.create_run(f"t{number}", "agent"))
        slow.gate.set()
        await passes(10)
        await told(runtime, await runtime.create_run("last", "agent"))

        stored = await runtime._store.events.read(limit=10_000)
        ids = [e.event_id for e in stored if e.category == "lifecycle"]
        assert [e.event_id for e in slow.events] == ids


@virtual
async def test_an_observer_whose_actor_crashes_goes_on_at_its_cursor(monkeypatch):
    recorder, crashed = Recorder(), []
    original = observer_actor.ObserverActor._call

    def call(self, delivery):
        if len(recorder.events) == 3 and not crashed:
            crashed.append(delivery)
            raise RuntimeError("a planted defect")
        return original(self, delivery)

    monkeypatch.setattr(observer_actor.ObserverActor, "_call", call)
    async with opened({"agent": succeed}) as runtime:
        events = runtime.supervisor.subscribe()
        runtime.observe(recorder, name="frail")
        run = await runtime.create_run("t", "agent")
        await told(runtime, run)
        await passes(10)

        assert crashed
        assert (await anext(events)).type == "observer_restarted"
        assert [e.sequence for e in recorder.of(run)] == [1, 2, 3, 4, 5, 6]


@virtual
async def test_a_closed_observation_is_told_nothing_more():
    recorder = Recorder()
    async with opened({"agent": succeed}) as runtime:
        observation = runtime.observe(recorder)
        await told(runtime, await runtime.create_run("t", "agent"))
        count = len(recorder.events)
        observation.close()
        observation.close()
        await told(runtime, await runtime.create_run("t", "agent"))

        assert count > 0
        assert len(recorder.events) == count
        assert (await runtime.supervisor.tree()).observers == ()


@virtual
async def test_observers_may_be_bound_before_the_runtime_starts():
    from callboard import Runtime

    recorder = Recorder()
    runtime = Runtime({"agent": succeed})
    runtime.observe(recorder)
    async with runtime:
        run = await runtime.create_run("t", "agent")
        await told(runtime, run)

    assert [e.sequence for e in recorder.of(run)] == [1, 2, 3, 4, 5, 6]


@virtual
async def test_what_is_no_observer_or_has_a_taken_name_is_refused():
    async with opened({}) as runtime:
        runtime.observe(lambda event: None, name="one")
        with pytest.raises(InvalidValue, match="observer is 7"):
            runtime.observe(7)
        with pytest.raises(InvalidValue, match="name is 'one'"):
            runtime.observe(lambda event: None, name="one")


@virtual
async def test_the_store_has_an_event_before_any_observer_is_told():
    store, missing = MemoryStore(), []

    async def check(event):
        stored = await store.events.list_events_by_run(event.run_id)
        if event.event_id not in [e.event_id for e in stored]:
            missing.append(event)

    async with staged(store=store) as (runtime, _):
        runtime.observe(check)
        run = await runtime.create_run("t", "failing")
        await told(runtime, run)

    assert missing == []


class NoException(BaseException):
    """What `pytest.fail` and its like raise."""


async def refuse_later(_):
    await asyncio.sleep(1)
    raise NoException


async def refuse_as_cancelled(_):
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


def refuse_at_once(_):
    raise NoException


def refuse_at_once_as_cancelled(_):
    raise asyncio.CancelledError


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    "refuse", [refuse_later, refuse_as_cancelled, refuse_at_once, refuse_at_once_as_cancelled]
)
@virtual
async def test_an_observer_may_raise_whatever_it_likes(refuse, required):
    async with opened({"agent": succeed}) as runtime:
        runtime.observe(refuse, required=required, name="refuses")
        runs = [await runtime.create_run(f"t{n}", "agent") for n in range(2)]
        ended = [await told(runtime, run) for run in runs]

        (observer,) = (await runtime.supervisor.tree()).observers
        assert (observer.name, observer.failures > 0) == ("refuses", True)
        assert [run.stop_reason for run in ended] == ["observer_failed" if required else None] * 2


@virtual
async def test_observers_without_a_name_get_one_that_nobody_had():
    async with opened({"agent": succeed}) as runtime:
        heard = []
        first, second = (runtime.observe(lambda e, n=n: heard.append(n)) for n in range(2))
        first.close()
        third = runtime.observe(lambda _: heard.append(2))
        assert second.name != third.name
        third.close()
        second.close()
        await told(runtime, await runtime.create_run("t", "agent"))
        assert heard == []
