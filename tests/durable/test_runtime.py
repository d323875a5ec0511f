"""A runtime that is given a URL."""

import asyncio

import pytest

from callboard import Runtime
from callboard.domain import InvalidValue, RunStatus, StoreOwned
from tests.durable.house import AGENTS, runtime_on, url_of


def test_what_ended_is_pruned_while_others_go_on(tmp_path):
    async def story():
        async with runtime_on(url_of(tmp_path)) as runtime:
            for _ in range(4):
                await runtime.create_and_wait("t", "echo", input="a")
            live = await runtime.create_run("u", "forever")

            pruned = await runtime.prune(keep_per_thread=1)

            assert pruned.runs == 3
            assert len(await runtime.list_runs("t")) == 1
            assert len(await runtime.list_messages("t")) == 2
            assert await runtime.cancel(live.run_id, wait=True)
            assert (await runtime.prune(older_than=3600)).runs == 0
            with pytest.raises(InvalidValue, match="older_than is None"):
                await runtime.prune()

    asyncio.run(story())


def test_a_store_in_memory_cannot_be_pruned():
    async def story():
        async with Runtime(AGENTS) as runtime:
            with pytest.raises(InvalidValue, match="can be pruned"):
                await runtime.prune(keep_per_thread=1)

    asyncio.run(story())


def test_a_deleted_run_is_gone_and_its_neighbours_stay(tmp_path):
    async def story():
        async with runtime_on(url_of(tmp_path)) as runtime:
            one = await runtime.create_and_wait("t", "echo", input="a")
            two = await runtime.create_and_wait("t", "echo", input="b")

            assert await runtime.delete_run(one.run_id)

            assert await runtime.get_run(one.run_id) is None
            assert [m.run_id for m in await runtime.list_messages("t")] == [two.run_id] * 2
            assert not await runtime.delete_run(one.run_id)

    asyncio.run(story())


def test_a_blocking_runtime_keeps_its_runs_too(tmp_path):
    with Runtime.blocking(AGENTS, url_of(tmp_path)) as runtime:
        run = runtime.create_and_wait("t", "echo", input="a")
    with Runtime.blocking(AGENTS, url_of(tmp_path), durability="process") as runtime:
        assert runtime.get_run(run.run_id).status is RunStatus.SUCCESS
        with pytest.raises(StoreOwned):
            Runtime.blocking(AGENTS, url_of(tmp_path)).start()


@pytest.mark.parametrize("slots", [[256], [-1], ["a"], [1.0]])
def test_slots_that_are_none_are_refused(slots):
    with pytest.raises((InvalidValue, TypeError), match=r"slots|not supported"):
        Runtime(AGENTS, slots=slots)


def test_an_unknown_durability_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="'full' or 'process'"):
        runtime_on(url_of(tmp_path), durability="maybe")


def test_agents_that_write_much_are_slowed_and_nothing_is_dropped(tmp_path):
    async def story():
        async def torrent(run):
            for number in range(5000):
                yield "values", {"number": number, "text": "x" * 100}

        async with runtime_on(url_of(tmp_path), agents={"torrent": torrent}) as runtime:
            run = await runtime.create_run("t", "torrent", resumable=True)
            seen = [frame async for frame in runtime.stream(run.run_id)]

            numbers = [frame.data["number"] for frame in seen if frame.event == "values"]
            assert numbers == list(range(5000))
            assert [int(frame.id) for frame in seen] == list(range(1, len(seen) + 1))

    asyncio.run(story())
