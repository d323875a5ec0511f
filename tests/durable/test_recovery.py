"""A process dies; the next one on the same file goes on where it was."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from callboard import RestartPolicy, Runtime
from callboard.domain import (
    CreateRunCommand,
    RunSnapshot,
    RunStatus,
    StopReason,
    StoreUnavailable,
)
from callboard.store.sql import SqlStore
from callboard.store.sql.runs import SqlRunStore
from tests.durable.house import dies, echo, forever, opened_store, runtime_on, url_of

pytestmark = pytest.mark.leaves_tasks
"""A runtime that dies leaves tasks behind, on purpose."""


async def lifecycle(runtime, run_id):
    run = await runtime.get_run(run_id)
    stored = await runtime.list_events(run.thread_id, run_id)
    return [(e.sequence, e.event_type) for e in stored if e.category == "lifecycle"]


def test_an_orphan_fails_and_says_why_before_the_runtime_is_open(tmp_path):
    async def story():
        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            run = await started(runtime, "t")
        async with runtime_on(url_of(tmp_path)) as runtime:
            found = await runtime.get_run(run.run_id)

            assert (found.status, found.stop_reason) == (RunStatus.ERROR, StopReason.ORPHANED)
            assert await lifecycle(runtime, run.run_id) == [
                (1, "run_created"),
                (2, "thread_status_updated"),
                (3, "run_started"),
                (4, "run_failed"),
                (5, "thread_status_updated"),
            ]
            assert await runtime.thread_status("t") == "error"
            assert (await runtime.create_and_wait("t", "echo", input="a")).output == {"word": "a"}

    asyncio.run(story())


async def started(runtime, thread_id, agent="forever", **options):
    begun = asyncio.Event()
    watching = runtime.observe(
        lambda event: begun.set() if event.event_type == "run_started" else None
    )
    run = await runtime.create_run(thread_id, agent, **options)
    await begun.wait()
    watching.close()
    return run


def test_an_orphan_is_tried_again_if_its_policy_says_so(tmp_path):
    async def story():
        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            run = await started(runtime, "t", input="to be")
        again = Runtime({}, url_of(tmp_path))
        again.register("forever", echo, RestartPolicy(on_orphan="restart"))
        async with again as runtime:
            result = await runtime.wait(run.run_id)

            assert (result.status, result.output) == (RunStatus.SUCCESS, {"word": "be"})
            kinds = [kind for _, kind in await lifecycle(runtime, run.run_id)]
            assert kinds[2:4] == ["run_started", "run_restarted"]

    asyncio.run(story())


def test_queued_runs_are_queued_again_in_their_order(tmp_path):
    async def story():
        order = []

        async def note(run):
            order.append(run.input)

        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            await started(runtime, "t")
            for number in range(5):
                await runtime.create_run(
                    "t", "echo", input=str(number), multitask_strategy="enqueue"
                )
        async with runtime_on(url_of(tmp_path), agents={"echo": note, "forever": forever}) as again:
            for run in reversed(await again.list_runs("t")):
                await again.wait(run.run_id)

        assert order == ["0", "1", "2", "3", "4"]

    asyncio.run(story())


def test_a_resumable_stream_goes_on_across_the_death_of_the_process(tmp_path):
    async def story():
        half = asyncio.Event()

        async def speak(run):
            state = await run.checkpoint.load() or 0
            for number in range(state, 6):
                yield "values", {"number": number}
                await run.checkpoint.save(number + 1)
                if run.attempt == 1 and number == 2:
                    half.set()
                    await asyncio.Event().wait()

        agents = {"speak": speak}
        async with dies(runtime_on(url_of(tmp_path), agents=agents)) as runtime:
            run = await runtime.create_run("t", "speak", resumable=True)
            seen = []
            async for frame in runtime.stream(run.run_id):
                seen.append(frame)
                if frame.data == {"number": 2}:
                    break
        again = Runtime({}, url_of(tmp_path))
        again.register("speak", speak, RestartPolicy(on_orphan="restart"))
        async with again as runtime:
            last = seen[-1].id
            seen += [frame async for frame in runtime.stream(run.run_id, last_event_id=last)]
            whole = [frame async for frame in runtime.stream(run.run_id)]

        ids = [int(frame.id) for frame in seen]
        assert ids == list(range(1, len(ids) + 1))
        assert seen == whole
        numbers = [frame.data["number"] for frame in seen if frame.event == "values"]
        assert numbers in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 2, 3, 4, 5])
        assert seen[-1].event == "end"

    asyncio.run(story())


def test_the_stream_of_a_failed_orphan_ends(tmp_path):
    async def story():
        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            run = await started(runtime, "t", resumable=True)
        async with runtime_on(url_of(tmp_path)) as runtime:
            frames = [frame async for frame in runtime.stream(run.run_id)]

            assert [frame.event for frame in frames] == ["metadata", "error", "end"]
            assert [frame.id for frame in frames] == ["1", "2", "3"]

    asyncio.run(story())


def test_an_observer_with_a_name_goes_on_where_it_was(tmp_path):
    async def story():
        heard = []

        def audit(event):
            heard.append((event.run_id, event.sequence))

        first = runtime_on(url_of(tmp_path))
        first.observe(audit, name="audit")
        async with first as runtime:
            one = await runtime.create_and_wait("t", "echo", input="a")
        before = list(heard)
        async with runtime_on(url_of(tmp_path)) as runtime:
            two = await runtime.create_and_wait("t", "echo", input="b")
        assert heard == before
        third = runtime_on(url_of(tmp_path))
        third.observe(audit, name="audit")
        async with third as runtime:
            three = await runtime.create_and_wait("t", "echo", input="c")

        assert len(heard) == len(set(heard))
        order = list(dict.fromkeys(run_id for run_id, _ in heard))
        assert order == [one.run_id, two.run_id, three.run_id]

    asyncio.run(story())


def test_an_observer_that_crashed_with_its_process_misses_nothing(tmp_path):
    async def story():
        heard = []
        first = runtime_on(url_of(tmp_path))
        first.observe(lambda event: heard.append(event.event_id), name="audit")
        async with dies(first) as runtime:
            await runtime.create_and_wait("t", "echo", input="a")
        again = runtime_on(url_of(tmp_path))
        again.observe(lambda event: heard.append(event.event_id), name="audit", replay=True)
        async with again as runtime:
            run = (await runtime.list_runs("t"))[0]
            await runtime.create_and_wait("u", "echo", input="b")

        ids = [f"{run.run_id}/{number}" for number in range(1, 6)]
        assert set(ids) <= set(heard)
        last = len(heard) - heard[::-1].index(ids[0]) - 1
        assert heard[last : last + 5] == ids

    asyncio.run(story())


def test_a_drained_runtime_leaves_everything_on_the_disk(tmp_path):
    async def story():
        runtime = runtime_on(url_of(tmp_path))
        await runtime.start()
        runs = [await started(runtime, f"t{n}") for n in range(3)]
        queued = await runtime.create_run("t0", "echo", input="a", multitask_strategy="enqueue")
        aborted = await runtime.drain(0.0)
        assert set(aborted) == {each.run_id for each in (*runs, queued)}
        other = SqlStore(url_of(tmp_path, "copy.db"))
        for suffix in ("", "-wal"):
            file = tmp_path / f"runs.db{suffix}"
            (tmp_path / f"copy.db{suffix}").write_bytes(file.read_bytes())
        await other.open()
        found = [await other.runs.get(run_id) for run_id in aborted]
        assert {each.status for each in found} == {RunStatus.INTERRUPTED}
        await other.close()
        await runtime.aclose()

    asyncio.run(story())


def test_orphans_of_a_temporary_thread_leave_no_trace(tmp_path):
    async def story():
        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            run = await started(runtime, None, scope="temporary_thread")
        async with runtime_on(url_of(tmp_path)) as runtime:
            assert await runtime.get_run(run.run_id) is None

    asyncio.run(story())


def test_many_orphans_are_each_settled_once(tmp_path):
    async def story():
        async with dies(runtime_on(url_of(tmp_path))) as runtime:
            runs = [await started(runtime, f"t{n}") for n in range(100)]
        async with runtime_on(url_of(tmp_path)) as runtime:
            for run in runs:
                kinds = [kind for _, kind in await lifecycle(runtime, run.run_id)]
                assert kinds.count("run_failed") == 1

    asyncio.run(story())


async def left_pending(url, **fields):
    """A store with a queued run that nobody runs."""
    async with opened_store(url) as store:
        await store.runs.put(pending("r", "t", **fields))


def pending(run_id, thread_id, created_at):
    request = CreateRunCommand(
        run_id=run_id, thread_id=thread_id, assistant_id="echo", input="a", after_seconds=0.1
    )
    return RunSnapshot(
        request=request, status=RunStatus.PENDING, created_at=created_at, updated_at=created_at
    )


def test_a_clock_that_was_ahead_delays_nobody_after_a_restart(tmp_path):
    async def story():
        url = url_of(tmp_path)
        await left_pending(url, created_at=datetime.now(UTC) + timedelta(days=1))
        async with runtime_on(url) as runtime:
            result = await asyncio.wait_for(runtime.wait("r"), 30)
        assert result.status is RunStatus.SUCCESS

    asyncio.run(story())


def test_a_queued_run_whose_thread_could_not_be_loaded_is_loaded_later(tmp_path):
    away, load = [StoreUnavailable("a query", "it is away")], SqlRunStore.load_thread

    async def fails_once(store, thread_id):
        if away:
            raise away.pop()
        return await load(store, thread_id)

    async def story():
        url, ended = url_of(tmp_path), asyncio.Event()
        await left_pending(url, created_at=datetime.now(UTC))
        runtime = runtime_on(url)
        runtime.observe(lambda e: ended.set() if e.event_type == "run_completed" else None)
        with mock.patch.object(SqlRunStore, "load_thread", fails_once):
            async with runtime:
                await asyncio.wait_for(ended.wait(), 30)
        assert away == []

    asyncio.run(story())
