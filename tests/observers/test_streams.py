"""Streams: order, replay, gaps, heartbeats, late and slow subscribers, cleanup."""

import asyncio

import pytest

from callboard.actors.wiring import Settings
from callboard.domain.errors import InvalidValue, RunNotFound
from tests.support import collect, opened, passes, staged, virtual


def counting(frames):
    """An agent that yields so many frames."""

    async def agent(run):
        for number in range(frames):
            yield "custom", number

    return agent


def data(frames):
    return [frame.data for frame in frames if frame.event == "custom"]


@virtual
async def test_first_comes_metadata_and_last_end():
    async with opened({"agent": counting(3)}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        assert [f.event for f in frames] == ["metadata", "custom", "custom", "custom", "end"]
        assert frames[0].data == {"run_id": run.run_id, "thread_id": "t", "attempt": 1}
        assert [f.id for f in frames] == ["1", "2", "3", "4", "5"]


@virtual
async def test_a_failed_run_streams_error_then_end():
    async with staged() as (runtime, _):
        run = await runtime.create_run("t", "failing")
        frames = await collect(runtime.stream(run.run_id))

        assert [f.event for f in frames] == ["metadata", "error", "end"]
        assert frames[1].data == {"error": "ValueError", "message": "kaput"}


@virtual
async def test_a_known_last_event_id_resumes_right_after_it():
    async with opened({"agent": counting(10)}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))
        for index, frame in enumerate(frames):
            rest = await collect(runtime.stream(run.run_id, last_event_id=frame.id))
            assert rest == frames[index + 1 :]


@virtual
async def test_minus_one_is_before_the_first_frame():
    async with opened({"agent": counting(1)}) as runtime:
        run = await runtime.create_run("t", "agent")
        frames = await collect(runtime.stream(run.run_id))

        assert await collect(runtime.stream(run.run_id, last_event_id="-1")) == frames


@pytest.mark.parametrize("bad", ["x", "1.5", "-2", "1-1"])
@virtual
async def test_a_malformed_last_event_id_is_refused(bad):
    async with opened({"agent": counting(1)}) as runtime:
        run = await runtime.create_run("t", "agent")
        with pytest.raises(InvalidValue, match="last_event_id"):
            await collect(runtime.stream(run.run_id, last_event_id=bad))


@virtual
async def test_an_unknown_run_ends_with_an_error_instead_of_hanging():
    async with opened({}) as runtime:
        with pytest.raises(RunNotFound):
            await collect(runtime.stream("nobody"))


@virtual
async def test_subscribers_before_during_and_after_the_run_see_the_same_frames():
    async with staged() as (runtime, stage):
        blocker = await runtime.create_run("t", "work")
        run = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        before = asyncio.ensure_future(collect(runtime.stream(run.run_id)))
        await passes(1)
        stage.release(blocker)
        await stage.until_executing(run)
        during = asyncio.ensure_future(collect(runtime.stream(run.run_id)))
        await passes(1)
        stage.release(run)
        await runtime.wait(run.run_id)
        after = await collect(runtime.stream(run.run_id))

        assert [f.event for f in after] == ["metadata", "end"]
        assert await before == await during == after


@virtual
async def test_a_run_aborted_in_the_queue_ends_its_stream():
    async with staged() as (runtime, _):
        await runtime.create_run("t", "work")
        queued = await runtime.create_run("t", "work", multitask_strategy="enqueue")
        reading = asyncio.ensure_future(collect(runtime.stream(queued.run_id)))
        await passes(1)
        await runtime.cancel(queued.run_id)

        assert [f.event for f in await reading] == ["metadata", "end"]


@virtual
async def test_a_heartbeat_comes_when_nothing_was_published_for_the_interval():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        stream = runtime.stream(run.run_id, heartbeat_interval=15.0)
        assert (await anext(stream)).event == "metadata"
        began = asyncio.get_running_loop().time()
        beats = [await anext(stream) for _ in range(3)]

        assert [(f.event, f.id) for f in beats] == [("heartbeat", None)] * 3
        assert 45 <= asyncio.get_running_loop().time() - began < 46
        stage.release(run)
        assert [f.event for f in await collect(stream)] == ["end"]


@virtual
async def test_what_the_buffer_no_longer_holds_is_told_as_one_gap():
    settings = Settings(buffer_frames=256, drain_timeout=0.0)
    async with opened({"agent": counting(1000)}, settings=settings) as runtime:
        run = await runtime.create_run("t", "agent")
        await runtime.wait(run.run_id)
        frames = await collect(runtime.stream(run.run_id, last_event_id="10"))

        assert [f.event for f in frames].count("gap") == 1
        gap = frames[0]
        assert (gap.event, gap.id, gap.data["requested"]) == ("gap", None, 10)
        assert gap.data["earliest"] == int(frames[1].id)
        assert gap.data["latest"] == int(frames[-1].id) == 1002
        numbers = [int(f.id) for f in frames[1:]]
        assert numbers == list(range(numbers[0], 1003))


@virtual
async def test_a_slow_subscriber_delays_neither_the_run_nor_the_quick_one():
    settings = Settings(buffer_frames=256, drain_timeout=0.0)
    async with opened({"agent": counting(2000)}, settings=settings) as runtime:
        run = await runtime.create_run("t", "agent")
        slow = runtime.stream(run.run_id)
        await anext(slow)
        quick = await collect(runtime.stream(run.run_id))

        assert data(quick) == list(range(2000))
        late = await collect(slow)
        assert late[-1].event == "end"
        assert data(late) == sorted(data(late))


@virtual
async def test_two_runs_do_not_mix_their_frames():
    async with opened({"a": counting(5), "b": counting(7)}) as runtime:
        first = await runtime.create_run("t1", "a")
        second = await runtime.create_run("t2", "b")

        assert data(await collect(runtime.stream(first.run_id))) == list(range(5))
        assert data(await collect(runtime.stream(second.run_id))) == list(range(7))


@pytest.mark.parametrize("after", [None, "3"])
@virtual
async def test_a_resumable_run_reads_back_from_the_log_what_the_buffer_lost(after):
    settings = Settings(buffer_frames=256, drain_timeout=0.0)
    async with opened({"agent": counting(3000)}, settings=settings) as runtime:
        run = await runtime.create_run("t", "agent", resumable=True)
        await runtime.wait(run.run_id)
        frames = await collect(runtime.stream(run.run_id, last_event_id=after))

        first = 1 if after is None else 4
        assert [int(f.id) for f in frames] == list(range(first, 3003))
        assert frames[-1].event == "end"


@virtual
async def test_a_resumable_run_can_be_replayed_when_its_buffer_is_gone():
    async with opened({"agent": counting(700)}) as runtime:
        run = await runtime.create_run("t", "agent", resumable=True)
        live = await collect(runtime.stream(run.run_id))
        await runtime.cleanup(run.run_id)

        assert await collect(runtime.stream(run.run_id)) == live
        assert await collect(runtime.stream(run.run_id, last_event_id="300")) == live[300:]


@virtual
async def test_without_buffer_or_log_a_late_join_is_told_so_and_ends():
    async with staged() as (runtime, _):
        run = await runtime.create_run("t", "failing")
        await runtime.wait(run.run_id)
        await runtime.cleanup(run.run_id)
        frames = await collect(runtime.stream(run.run_id))

        assert [f.event for f in frames] == ["metadata", "gap", "error", "end"]


@virtual
async def test_cleanup_waits_for_its_delay_and_spares_runs_in_flight():
    async with staged() as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await runtime.cleanup(run.run_id)
        stage.release(run)
        await runtime.wait(run.run_id)
        await runtime.cleanup(run.run_id, delay=30)
        await passes(29)
        assert (await runtime.supervisor.tree()).streams == 1
        await passes(2)
        assert (await runtime.supervisor.tree()).streams == 0


@virtual
async def test_ended_streams_go_by_count_and_by_age():
    settings = Settings(keep_streams=5, keep_stream_seconds=100.0, drain_timeout=0.0)
    async with opened({"agent": counting(1)}, settings=settings) as runtime:
        for _ in range(20):
            await runtime.create_and_wait("t", "agent")
        assert (await runtime.supervisor.tree()).streams == 5
        await passes(200)
        await runtime.create_and_wait("t", "agent")

        assert (await runtime.supervisor.tree()).streams == 1


@virtual
async def test_a_reader_that_vanishes_leaves_nothing_behind():
    async with staged() as (runtime, _):
        run = await runtime.create_run("t", "work")

        async def read():
            await collect(runtime.stream(run.run_id))

        for _ in range(50):
            reading = asyncio.ensure_future(read())
            await passes(0.1)
            reading.cancel()
        await passes(60)

        actor = runtime._house.wiring.stream.actor_inbox.actor
        stream = actor._streams[run.run_id]
        assert (stream.readers, stream.consumers) == ([], 0)


@virtual
async def test_the_end_is_stored_before_the_last_frame_is_seen():
    async with opened({"agent": counting(3)}) as runtime:
        run = await runtime.create_run("t", "agent")
        async for frame in runtime.stream(run.run_id):
            if frame.event == "end":
                assert (await runtime.get_run(run.run_id)).status == "success"
                assert await runtime.thread_status("t") == "idle"
