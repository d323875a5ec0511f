"""A request that is refused leaves no trace; runs and changes of a state keep apart."""

import asyncio

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_sdk.errors import ConflictError, NotFoundError

from callboard.server.bodies import RunBody
from tests.executors.graphs import Gate, goes, steps
from tests.server.house import AGENTS, gated, serving, story


class SlowSaver(InMemorySaver):
    """Gives way before it saves, as one does that writes to a file."""

    async def aput(self, *arguments):
        await asyncio.sleep(0)
        return await super().aput(*arguments)


def graph_with(saver):
    return steps(("a", goes("a"))).compile(checkpointer=saver)


ID = "11111111-1111-1111-1111-111111111111"
IN = {"path": ["in"]}
WRONG = [
    ({"assistant_id": "steps", "command": {"goto": 3}}, 422),
    ({"assistant_id": "steps", "config": {"configurable": {"a": 1}}, "context": {"b": 1}}, 400),
    ({"assistant_id": "steps", "checkpoint_id": "none"}, 404),
    ({"assistant_id": "steps", "webhook": "http://127.0.0.1/"}, 422),
]


@pytest.mark.parametrize(("wrong", "status"), WRONG)
@story
async def test_a_refused_run_makes_no_thread(wrong, status):
    async with serving() as served:
        path = f"/threads/{ID}/runs"
        made = await served.http.post(path, json={**wrong, "if_not_exists": "create"})
        kept = await served.http.post("/runs", json={**wrong, "on_completion": "keep"})

        assert (made.status_code, kept.status_code) == (status, status)
        assert await served.client.threads.count() == 0


@pytest.mark.parametrize(("wrong", "status"), WRONG)
@story
async def test_a_batch_with_a_run_that_is_refused_creates_none(wrong, status):
    async with serving() as served:
        good = {"assistant_id": "steps", "on_completion": "keep"}

        answer = await served.http.post("/runs/batch", json=[good, wrong])

        assert answer.status_code == status
        assert await served.client.threads.count() == 0


@story
async def test_a_thread_stays_with_its_graph_until_a_run_of_another_is_admitted():
    gate = Gate()
    async with serving({**AGENTS(), **gated(slow=gate)}) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        run = await runs.create(ID, "slow", input=IN)
        await gate.entered.wait()

        with pytest.raises(ConflictError):
            await runs.create(ID, "echo", multitask_strategy="reject")

        gate.open.set()
        await runs.join(ID, run["run_id"])
        thread = await threads.get(ID)
        assert thread["metadata"]["graph_id"] == "slow"
        assert thread["values"] == {"path": ["in", "a", "gated", "b"]}
        await runs.wait(ID, "echo", input=1)
        assert (await threads.get(ID))["metadata"]["graph_id"] == "echo"


@story
async def test_a_thread_that_cannot_have_the_state_it_was_to_have_is_not_made():
    async with serving() as served:
        step = {"updates": [{"values": {"path": ["x"]}, "as_node": "nobody"}]}
        body = {"metadata": {"graph_id": "steps"}, "supersteps": [step]}

        answer = await served.http.post("/threads", json=body)

        assert answer.status_code == 422
        assert await served.client.threads.count() == 0


@story
async def test_a_run_without_a_thread_begins_at_no_checkpoint():
    async with serving() as served:
        with pytest.raises(NotFoundError, match="no checkpoints"):
            await served.client.runs.create(None, "steps", checkpoint_id="x")


# Runs and changes.


@story
async def test_of_changes_at_once_none_is_lost():
    async with serving({"steps": graph_with(SlowSaver())}) as served:
        threads = served.client.threads
        await threads.create(thread_id=ID, graph_id="steps")
        await served.client.runs.wait(ID, "steps", input={"path": []})

        await asyncio.gather(*(threads.update_state(ID, {"path": [str(n)]}) for n in range(5)))

        path = (await threads.get_state(ID))["values"]["path"]
        assert sorted(path) == ["0", "1", "2", "3", "4", "a"]


class HeldSaver(InMemorySaver):
    """Saves when it is told to."""

    def __init__(self):
        super().__init__()
        self.saving, self.go_on = asyncio.Event(), asyncio.Event()

    async def aput(self, *arguments):
        self.saving.set()
        await self.go_on.wait()
        return await super().aput(*arguments)


@story
async def test_a_run_is_admitted_when_no_change_is_under_way():
    saver = HeldSaver()
    async with serving({"steps": graph_with(saver)}) as served, asyncio.TaskGroup() as tasks:
        client, service = served.client, served.app.state.service
        await client.threads.create(thread_id=ID, graph_id="steps")
        change = client.threads.update_state(ID, {"path": ["changed"]}, as_node="a")
        changing = tasks.create_task(change)
        await saver.saving.wait()

        body = RunBody(assistant_id="steps", input=IN)
        admitting = tasks.create_task(service.admit(body, None, ID))
        thread = served.runtime._house.registry.threads[ID].actor_inbox
        while thread.empty():  # noqa: ASYNC110 - nothing tells that a message waits
            await asyncio.sleep(0)
        assert await client.runs.list(ID) == []

        saver.go_on.set()
        await changing
        run = await admitting
        assert await client.runs.join(ID, run.run_id) == {"path": ["changed", "in", "a"]}


@story
async def test_a_state_is_not_changed_while_a_run_is_in_flight():
    gate = Gate()
    async with serving(gated(gated=gate)) as served:
        await served.client.threads.create(thread_id=ID)
        await served.client.runs.create(ID, "gated", input=IN)
        await gate.entered.wait()

        with pytest.raises(ConflictError, match="in flight"):
            await served.client.threads.update_state(ID, {"path": ["x"]})

        gate.open.set()
