"""Agents that do what agents should not."""

import asyncio
import threading

import pytest

from callboard import AttemptOutput, InvalidValue, RestartPolicy, Runtime, Settings
from tests.support import collect, opened, passes, virtual


@virtual
async def test_an_agent_that_swallows_cancellation_for_seconds_is_waited_for():
    async def agent(run):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await passes(12)
            return "done anyway"

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        await passes(1)
        began = asyncio.get_running_loop().time()
        await runtime.cancel(run.run_id, wait=True)

        assert 12 <= asyncio.get_running_loop().time() - began < 13
        assert (await runtime.wait(run.run_id)).status == "interrupted"


@pytest.mark.parametrize("kind", ["returns", "aborted"])
@virtual
async def test_an_agent_that_raises_in_finally_ends_like_it_should(kind):
    async def agent(run):
        try:
            if kind == "aborted":
                await asyncio.Event().wait()
        finally:
            raise RuntimeError("in finally")

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        if kind == "aborted":
            await passes(1)
            await runtime.cancel(run.run_id)
        result = await runtime.wait(run.run_id)

        assert result.status == ("interrupted" if kind == "aborted" else "error")


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, float("nan"), b"x"])
@virtual
async def test_an_unserialisable_return_value_is_an_error_that_names_the_place(value):
    async def agent(run):
        return {"answer": value}

    async with opened({"agent": agent}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert result.status == "error"
        assert result.error.startswith("UnserialisablePayload: output.answer")


@pytest.mark.parametrize("returned", [object(), AttemptOutput({1, 2})])
@virtual
async def test_an_executor_that_returns_nonsense_fails_its_run(returned):
    class Odd:
        async def capture(self, run):
            return None

        async def execute(self, run):
            return returned

        async def restore(self, run, captured):
            return None

    async with opened({"agent": Odd()}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert result.status == "error"
        assert result.error.startswith(("InvalidValue: execute()", "UnserialisablePayload: output"))


@virtual
async def test_an_unserialisable_frame_is_refused_where_it_is_emitted():
    async def agent(run):
        yield "values", {"good": 1}
        yield "values", {"bad": object()}

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        assert [f.event for f in frames] == ["metadata", "values", "error", "end"]
        assert frames[2].data["error"] == "UnserialisablePayload"


@virtual
async def test_a_frame_that_its_agent_changes_later_was_copied():
    async def agent(run):
        state = {"n": 1}
        yield "values", state
        state["n"] = 2
        yield "values", state

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        assert [f.data["n"] for f in frames if f.event == "values"] == [1, 2]


@virtual
async def test_a_generator_that_yields_100_000_frames_loses_none_to_a_reader():
    async def agent(run):
        for number in range(100_000):
            yield "custom", number

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        assert [f.data for f in frames if f.event == "custom"] == list(range(100_000))
        assert [int(f.id) for f in frames] == list(range(1, 100_003))


@virtual
async def test_an_agent_that_never_waits_while_it_emits_costs_bounded_memory_and_shows_a_gap():
    async def agent(run):
        for number in range(20_000):
            run.emit("custom", number)
        return "done"

    async with opened({"agent": agent}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        (gap,) = [f for f in frames if f.event == "gap"]
        shown = [f.data for f in frames if f.event == "custom"]
        assert gap.data["requested"] < gap.data["earliest"]
        assert shown == list(range(20_000 - len(shown), 20_000))
        assert len(shown) >= 4096
        assert frames[-1].event == "end"


@virtual
async def test_a_generator_that_never_yields_is_a_success_without_output():
    async def agent(run):
        if run.attempt > 1:
            yield

    async with opened({"agent": agent}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert (result.status, result.output) == ("success", None)


@virtual
async def test_an_agent_that_exits_ends_its_run_and_not_the_host():
    async def agent(run):
        raise SystemExit(3)

    async with opened({"agent": agent}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert result.status == "error"
        assert "SystemExit(3)" in result.error


@virtual
async def test_an_agent_may_not_publish_the_frames_of_callboard_itself():
    async def agent(run):
        yield "end", {}

    async with opened({"agent": agent}) as runtime:
        result = await runtime.create_and_wait("t", "agent")

        assert result.status == "error"
        assert "event is 'end'" in result.error


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda run: run.emit([], 1), r"event is \[\]"),
        (lambda run: run.emit(5), "event is 5"),
        (lambda run: run.message([], "hi"), r"role is \[\]"),
        (lambda run: run.record_usage("m", "x", 1), "tokens is 'x'"),
        (lambda run: run.record_usage("m", 1, 1.5), "tokens is 1.5"),
        (lambda run: run.record_usage("m", 1, True), "tokens is True"),
        (lambda run: run.record_usage("m", 1, 10**13), "tokens is 10000000000000"),
        (lambda run: run.record_usage("m", 1, 1, caller=[]), r"caller is \[\]"),
    ],
)
@virtual
async def test_what_an_agent_cannot_say_is_refused_where_it_says_it(call, text):
    async def agent(run):
        with pytest.raises(InvalidValue, match=text):
            call(run)

    async with opened({"agent": agent}) as runtime:
        assert (await runtime.create_and_wait("t", "agent")).error is None


def test_a_function_that_blocks_its_os_thread_is_abandoned_and_the_host_can_exit():
    blocked, free = threading.Event(), threading.Event()

    def agent(run):
        blocked.set()
        free.wait(60)
        return "late"

    async def main():
        async with Runtime({"agent": agent}, abort_grace=0.05) as runtime:
            run = await runtime.create_run("t", "agent")
            await asyncio.to_thread(blocked.wait, 30)
            await runtime.cancel(run.run_id, wait=True)
            ghosts = (await runtime.supervisor.health()).abandoned
            return await runtime.wait(run.run_id), ghosts

    result, ghosts = asyncio.run(main())
    free.set()
    assert (result.status, result.stop_reason) == ("interrupted", "abandoned")
    assert ghosts == 1


def test_frames_from_an_os_thread_arrive_in_order_and_complete():
    def agent(run):
        for number in range(20_000):
            run.emit("custom", number)
        return "done"

    async def main():
        async with Runtime({"agent": agent}) as runtime:
            run = await runtime.create_run("t", "agent")
            return await collect(runtime.stream(run.run_id))

    frames = asyncio.run(main())
    assert [f.data for f in frames if f.event == "custom"] == list(range(20_000))


def test_a_function_that_is_aborted_before_it_has_an_os_thread_is_never_called():
    begun, gate = [], threading.Event()

    def agent(run):
        begun.append(run.run_id)
        gate.wait(30)

    async def story():
        settings = Settings(max_workers=1, drain_timeout=0.0)
        async with Runtime({"agent": agent}, settings=settings) as runtime:
            await runtime.create_run("t1", "agent", run_id="r1")
            await runtime.create_run("t2", "agent", run_id="r2")
            while not begun or (await runtime.get_run("r2")).status != "running":
                await runtime.get_run("r1")  # lets the others go on
            replaced = {"run_id": "r3", "multitask_strategy": "interrupt"}
            await runtime.create_run("t2", "agent", **replaced)
            ended = await runtime.wait("r2")
            assert (ended.status, ended.stop_reason) == ("interrupted", "superseded")
            gate.set()
            assert [(await runtime.wait(each)).status for each in ("r1", "r3")] == ["success"] * 2
        assert begun == ["r1", "r3"]

    asyncio.run(story())


def test_a_function_for_which_there_is_no_os_thread_fails_its_run_and_is_not_called_later(
    monkeypatch,
):
    called, start = [], threading.Thread.start

    def agent(run):
        called.append(run.run_id)

    def refuse(thread):
        if thread.name.startswith("callboard-worker"):
            raise RuntimeError("can't start new thread")
        start(thread)

    async def story():
        async with Runtime({"agent": agent}) as runtime:
            with monkeypatch.context() as changed:
                changed.setattr(threading.Thread, "start", refuse)
                failed = await runtime.create_and_wait("t", "agent", run_id="r1")
            assert (failed.status, failed.error) == (
                "error",
                "RuntimeError: can't start new thread",
            )
            assert (await runtime.create_and_wait("t", "agent", run_id="r2")).status == "success"
        assert called == ["r2"]

    asyncio.run(story())


@virtual
async def test_an_error_that_cannot_say_what_it_is_is_one_like_any_other():
    class Mute(Exception):
        def __str__(self):
            raise ZeroDivisionError

    async def agent(run):
        if run.attempt < 3:
            raise Mute
        return "done"

    policy = RestartPolicy(max_restarts=5, backoff=0.01)
    async with opened({"agent": agent}, restart=policy) as runtime:
        assert (await runtime.create_and_wait("t", "agent")).output == "done"
