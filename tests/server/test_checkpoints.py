"""Checkpoints and states as requests name them, and what cannot be meant by one."""

import httpx
import pytest
from langgraph.types import interrupt
from langgraph_sdk.errors import NotFoundError

from tests.executors.graphs import steps
from tests.server.house import serving, story

ID = "11111111-1111-1111-1111-111111111111"
NONE = "1f1e5b43-04a2-6af7-8000-84de5cf12992"
IN = {"path": ["in"]}


@story
async def test_nothing_begins_at_a_checkpoint_that_is_none():
    async with serving() as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        values = await runs.wait(ID, "steps", input=IN)
        calls = [
            runs.wait(ID, "steps", input=IN, checkpoint_id=NONE),
            runs.wait(ID, "steps", input=IN, checkpoint={"checkpoint_id": NONE}),
            runs.wait(ID, "steps", config={"configurable": {"checkpoint_id": NONE}}),
            threads.get_state(ID, checkpoint_id=NONE),
            threads.get_state(ID, checkpoint={"checkpoint_id": NONE}),
            threads.update_state(ID, {"path": ["x"]}, checkpoint_id=NONE),
        ]

        for call in calls:
            with pytest.raises(httpx.HTTPStatusError) as refused:
                await call
            assert refused.value.response.status_code == 404
        assert (await threads.get_state(ID))["values"] == values
        assert len(await runs.list(ID)) == 1


@pytest.mark.parametrize(
    ("checkpoint", "field"),
    [
        ({"checkpoint_id": 5}, "checkpoint_id"),
        ({"checkpoint_ns": ["a"]}, "checkpoint_ns"),
        ({"checkpoint_map": 5}, "checkpoint_map"),
        ({"checkpoint_map": {"": 5}}, "checkpoint_map"),
    ],
)
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("runs/wait", ["checkpoint"]),
        ("runs/wait", ["config", "configurable"]),
        ("state", ["checkpoint"]),
        ("state/checkpoint", ["checkpoint"]),
        ("history", ["checkpoint"]),
        ("history", ["before"]),
    ],
)
@story
async def test_a_checkpoint_that_cannot_be_one_is_named(path, place, checkpoint, field):
    async with serving() as served:
        await served.client.threads.create(thread_id=ID, graph_id="steps")
        body = {"assistant_id": "steps"}
        inner = body
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
        inner[place[-1]] = checkpoint

        answer = await served.http.post(f"/threads/{ID}/{path}", json=body)

        assert answer.status_code == 422
        assert field in answer.json()["detail"]


@story
async def test_a_run_goes_on_from_the_checkpoint_it_names():
    async with serving() as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        await runs.wait(ID, "steps", input=IN)
        first = (await threads.get_history(ID))[1]

        for named in (
            {"checkpoint": first["checkpoint"]},
            {"checkpoint_id": first["checkpoint"]["checkpoint_id"]},
        ):
            assert await runs.wait(ID, "steps", **named) == {"path": ["in", "a", "b"]}


@story
async def test_a_copy_of_a_thread_that_waits_for_an_answer_waits_for_it_too():
    async with serving() as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        await runs.wait(ID, "approval", input={"path": []})

        copy = await threads.copy(ID)

        assert copy["status"] == "interrupted"
        assert copy["interrupts"] == (await threads.get(ID))["interrupts"]
        values = await runs.wait(copy["thread_id"], "approval", command={"resume": "yes"})
        assert values["path"][-1] == "acted"
        assert (await threads.get(ID))["status"] == "interrupted"


@story
async def test_an_unknown_namespace_has_an_empty_state():
    async with serving() as served:
        threads = served.client.threads
        await threads.create(thread_id=ID, graph_id="steps")

        state = await threads.get_state(ID, checkpoint={"checkpoint_ns": "nobody:1"})

        assert state["values"] == {}
        with pytest.raises(NotFoundError):
            await threads.get_state(ID, checkpoint={"checkpoint_ns": "n:1", "checkpoint_id": NONE})


@pytest.mark.parametrize(
    "messages",
    [5, [5], [["too", "many", "parts"]], [{"role": "nobody"}], [{"type": "human"}], None],
)
@story
async def test_values_that_a_reducer_does_not_take_are_refused(messages):
    async with serving() as served:
        await served.client.threads.create(thread_id=ID, graph_id="chat")

        body = {"values": {"messages": messages}}
        answer = await served.http.post(f"/threads/{ID}/state", json=body)

        assert answer.status_code == 422, answer.text
        assert (await served.client.threads.get_state(ID))["values"] == {}


@story
async def test_a_question_tells_the_schema_of_its_answer():
    schema = {"type": "object"}

    async def ask(_):
        return {"path": [interrupt("how?", response_schema=schema)]}

    async with serving({"asking": steps(("ask", ask))}) as served:
        await served.client.threads.create(thread_id=ID)
        await served.client.runs.wait(ID, "asking", input={"path": []})

        (asked,) = (await served.client.threads.get_state(ID))["interrupts"]
        assert (asked["value"], asked["response_schema"]) == ("how?", schema)


@pytest.mark.parametrize("section", ["configurable", "metadata"])
@story
async def test_a_section_of_the_config_that_is_no_object_is_named(section):
    async with serving() as served:
        body = {"assistant_id": "steps", "config": {section: 5}}

        answer = await served.http.post("/runs", json=body)

        assert answer.status_code == 422
        assert f"config.{section}" in answer.json()["detail"]


@story
async def test_a_depth_of_subgraphs_that_is_no_number_is_refused():
    async with serving() as served:
        for depth in ("²", "-1", "deep"):
            answer = await served.http.get(f"/assistants/steps/graph?xray={depth}")

            assert answer.status_code == 422
            assert "xray" in answer.json()["detail"]
