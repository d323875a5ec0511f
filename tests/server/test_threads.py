"""Threads and their states, by the platform's own client."""

import asyncio

import pytest
from langgraph_sdk.errors import (
    ConflictError,
    NotFoundError,
    UnprocessableEntityError,
)

from tests.executors.graphs import Gate
from tests.server.house import gated, serving, story

ID = "11111111-1111-1111-1111-111111111111"
UNKNOWN = "00000000-0000-0000-0000-000000000000"
IN = {"path": ["in"]}


@story
async def test_a_thread_is_created_with_an_id_and_metadata():
    async with serving() as served:
        threads = served.client.threads

        thread = await threads.create(thread_id=ID, metadata={"a": 1}, graph_id="steps")

        assert thread["thread_id"] == ID
        assert thread["metadata"] == {"a": 1, "graph_id": "steps"}
        assert (thread["status"], thread["values"], thread["interrupts"]) == ("idle", None, {})
        assert await threads.get(ID) == thread


@story
async def test_a_thread_that_exists_is_a_conflict_or_answered_as_it_is():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID, metadata={"a": 1})

        with pytest.raises(ConflictError):
            await threads.create(thread_id=ID)
        again = await threads.create(thread_id=ID, metadata={"b": 2}, if_exists="do_nothing")

        assert again["metadata"] == {"a": 1}


@story
async def test_metadata_is_merged_and_a_minimal_answer_is_none():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID, metadata={"a": 1})

        changed = await threads.update(ID, metadata={"b": 2})
        minimal = await threads.update(ID, metadata={"a": 3}, return_minimal=True)

        assert changed["metadata"] == {"a": 1, "b": 2}
        assert minimal is None
        assert (await threads.get(ID))["metadata"] == {"a": 3, "b": 2}
        with pytest.raises(NotFoundError):
            await threads.update(UNKNOWN, metadata={})


@story
async def test_threads_are_found_by_metadata_status_values_and_id():
    async with serving() as served:
        threads, runs = served.client.threads, served.client.runs
        made = [(await threads.create(metadata={"n": n}))["thread_id"] for n in range(3)]
        await runs.wait(made[0], "steps", input=IN)
        await runs.wait(made[1], "failing", raise_error=False)

        async def found(**criteria):
            return {thread["thread_id"] for thread in await threads.search(**criteria)}

        assert await found() == set(made)
        assert await found(metadata={"n": 2}) == {made[2]}
        assert await found(metadata={"graph_id": "steps"}) == {made[0]}
        assert await found(status="error") == {made[1]}
        assert await found(values={"path": ["in"]}) == {made[0]}
        assert await found(ids=[made[1], UNKNOWN]) == {made[1]}
        assert await threads.count() == 3
        assert await threads.count(status="idle") == 2
        assert await threads.count(values={"path": ["b"]}) == 1


@story
async def test_a_search_is_sorted_cut_and_narrowed():
    async with serving() as served:
        threads = served.client.threads
        made = [(await threads.create())["thread_id"] for _ in range(3)]
        await served.client.runs.wait(made[0], "steps", input=IN)

        newest = await threads.search(sort_by="created_at", limit=2, select=["thread_id"])
        oldest = await threads.search(sort_by="created_at", sort_order="asc", limit=1)
        answer = await served.http.post("/threads/search", json={"limit": 2})

        assert newest == [{"thread_id": made[2]}, {"thread_id": made[1]}]
        assert oldest[0]["thread_id"] == made[0]
        assert (await threads.search())[0]["thread_id"] == made[0]
        assert answer.headers["x-pagination-total"] == "3"
        assert answer.headers["x-pagination-next"] == "2"
        (first,) = await threads.search(
            ids=[made[0]], select=["thread_id"], extract={"last": "values.path[-1]", "no": "x.y"}
        )
        assert first == {"thread_id": made[0], "extracted": {"last": "b", "no": None}}


@story
async def test_deleting_a_thread_stops_its_agent_and_forgets_its_state():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        run = await runs.create(ID, "slow", input=IN)
        await gate.entered.wait()

        await threads.delete(ID)

        assert gate.unwound
        with pytest.raises(NotFoundError):
            await threads.get(ID)
        with pytest.raises(NotFoundError):
            await runs.get(ID, run["run_id"])
        await threads.create(thread_id=ID, graph_id="slow")
        assert (await threads.get_state(ID))["values"] == {}
        with pytest.raises(NotFoundError):
            await threads.delete(UNKNOWN)


@story
async def test_threads_are_pruned():
    async with serving() as served:
        threads = served.client.threads
        made = [(await threads.create())["thread_id"] for _ in range(2)]

        assert await threads.prune([made[0], UNKNOWN]) == {"pruned_count": 1}
        assert await threads.count() == 1
        with pytest.raises(UnprocessableEntityError, match="strategy"):
            await threads.prune(made, strategy="keep_latest")


@story
async def test_a_copy_has_metadata_and_history_and_goes_its_own_way():
    async with serving() as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID, metadata={"a": 1})
        await runs.wait(ID, "steps", input=IN)

        copy = await threads.copy(ID)

        assert copy["metadata"]["a"] == 1
        assert copy["values"] == {"path": ["in", "a", "b"]}
        assert len(await threads.get_history(copy["thread_id"])) == 4
        await runs.wait(copy["thread_id"], "steps", input={"path": ["more"]})
        assert (await threads.get(ID))["values"] == {"path": ["in", "a", "b"]}


@story
async def test_a_thread_is_made_with_a_state():
    async with serving() as served:
        step = {"updates": [{"values": {"path": ["x"]}, "as_node": "a"}]}

        thread = await served.client.threads.create(graph_id="steps", supersteps=[step])

        assert thread["values"] == {"path": ["x"]}
        with pytest.raises(UnprocessableEntityError, match="supersteps"):
            await served.client.threads.create(supersteps=[step])


@story
async def test_a_state_is_read_changed_and_gone_back_to():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID)
        await served.client.runs.wait(ID, "steps", input=IN)
        before = await threads.get_state(ID)

        new = await threads.update_state(ID, {"path": ["x"]}, as_node="a")

        state = await threads.get_state(ID)
        assert state["checkpoint"] == new["checkpoint"]
        assert (state["values"], state["next"]) == ({"path": ["in", "a", "b", "x"]}, ["b"])
        old_id = before["checkpoint"]["checkpoint_id"]
        for old in (
            await threads.get_state(ID, checkpoint_id=old_id),
            await threads.get_state(ID, checkpoint=before["checkpoint"]),
        ):
            assert old["values"] == before["values"]
        partial = await threads.get_state(ID, select=["next", "values.path"])
        assert partial == {"next": ["b"], "values": state["values"]}


@story
async def test_history_is_cut_by_limit_checkpoint_and_metadata():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID)
        await served.client.runs.wait(ID, "steps", input=IN)

        history = await threads.get_history(ID)
        assert [state["next"] for state in history] == [[], ["b"], ["a"], ["__start__"]]
        assert await threads.get_history(ID, limit=1) == history[:1]
        assert await threads.get_history(ID, before=history[1]["checkpoint"]) == history[2:]
        assert await threads.get_history(ID, metadata={"source": "input"}) == history[3:]
        assert len((await served.http.get(f"/threads/{ID}/history?limit=2")).json()) == 2


@story
async def test_a_state_is_not_changed_under_a_run():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        threads = served.client.threads
        await threads.create(thread_id=ID)
        run = await served.client.runs.create(ID, "slow", input=IN)
        await gate.entered.wait()

        with pytest.raises(ConflictError, match="in flight"):
            await threads.update_state(ID, {"path": ["x"]})

        gate.open.set()
        await served.client.runs.join(ID, run["run_id"])
        await threads.update_state(ID, {"path": ["x"]})


@story
async def test_a_thread_without_a_graph_has_an_empty_state_that_cannot_be_changed():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID)

        state = await threads.get_state(ID)
        assert (state["values"], state["next"], state["tasks"]) == ({}, [], [])
        assert await threads.get_history(ID) == []
        with pytest.raises(UnprocessableEntityError, match="no graph"):
            await threads.update_state(ID, {"path": ["x"]})
        await served.client.runs.wait(ID, "echo", input="hi")
        assert (await threads.get(ID))["values"] == {"said": "hi", "user": None}


@story
async def test_an_answer_given_by_changing_the_state_ends_the_waiting():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID)
        await served.client.runs.wait(ID, "approval", input={"path": []})
        assert (await threads.get(ID))["status"] == "interrupted"

        await threads.update_state(ID, {"path": ["done"]}, as_node="act")

        assert (await threads.get(ID))["status"] == "idle"


@story
async def test_a_threads_status_is_true_the_moment_a_join_returns():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        run = await runs.create(ID, "slow", input=IN)
        joining = asyncio.create_task(runs.join(ID, run["run_id"]))
        await gate.entered.wait()
        assert (await threads.get(ID))["status"] == "busy"
        gate.open.set()
        await joining

        assert (await threads.get(ID))["status"] == "idle"
        assert [t["thread_id"] for t in await threads.search(status="idle")] == [ID]
        assert (await runs.get(ID, run["run_id"]))["status"] == "success"
