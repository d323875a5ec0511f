"""A graph is served with the meaning that it has in LangGraph: its output, commands and ids."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from langgraph_sdk.errors import UnprocessableEntityError

from tests.server.house import collect, serving, story


class Whole(TypedDict, total=False):
    secret: str
    out: str


class Given(TypedDict, total=False):
    secret: str


class Told(TypedDict, total=False):
    out: str


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


class NotPlain:
    """What has no form in bytes."""


def telling(node):
    graph = StateGraph(Whole, input_schema=Given, output_schema=Told)
    return graph.add_node("n", node).add_edge(START, "n").compile()


def logging():
    graph = StateGraph(Log)
    for name in ("first", "other"):
        graph.add_node(name, lambda _, name=name: {"log": [name]})
    return graph.add_edge(START, "first").compile()


def looking(seen):
    """Notes the ids that its node sees."""

    def node(_, config):
        seen.append((config["configurable"]["thread_id"], config["metadata"]["thread_id"]))
        return {"log": ["looked"]}

    return StateGraph(Log).add_node("n", node).add_edge(START, "n").compile()


def GRAPHS():  # noqa: N802 - new ones each time
    return {
        "tells": telling(lambda state: {"out": "o" + state["secret"]}),
        "keeps": telling(lambda state: {"secret": state["secret"] * 2}),
        "asks": telling(lambda _: {"out": interrupt("what?")}),
        "log": logging(),
        "odd": telling(lambda _: {"secret": NotPlain()}),
    }


STATE = {"secret": "s"}


@story
async def test_a_run_gives_what_the_graph_declares_and_the_thread_keeps_the_rest():
    async with serving(GRAPHS()) as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]

        assert await runs.wait(None, "tells", input=STATE) == {"out": "os"}
        assert await runs.wait(thread_id, "tells", input=STATE) == {"out": "os"}

        whole = {"secret": "s", "out": "os"}
        assert (await threads.get(thread_id))["values"] == whole
        assert (await threads.get_state(thread_id))["values"] == whole
        run = await runs.create(thread_id, "tells", input={"secret": "t"})
        for _ in ("in flight", "ended"):
            assert await runs.join(thread_id, run["run_id"]) == {"out": "ot"}


@pytest.mark.parametrize("modes", [["values"], ["values", "events"]])
@story
async def test_a_stream_gives_what_the_graph_declares(modes):
    async with serving(GRAPHS()) as served:
        runs = served.client.runs
        parts = await collect(runs.stream(None, "tells", input=STATE, stream_mode=modes))
        silent = await collect(runs.stream(None, "keeps", input=STATE, stream_mode=modes))

        assert [part.data for part in parts if part.event == "values"] == [{"out": "os"}]
        assert [part.data for part in silent if part.event == "values"] == []


@story
async def test_a_run_that_writes_no_output_gives_an_empty_one():
    async with serving(GRAPHS()) as served:
        assert await served.client.runs.wait(None, "keeps", input=STATE) == {}


@story
async def test_a_question_comes_without_what_the_graph_keeps_to_itself():
    async with serving(GRAPHS()) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        asked = await runs.wait(thread_id, "asks", input=STATE)
        answered = await runs.wait(thread_id, "asks", command={"resume": "42"})

        assert {key: asked[key] for key in asked if key != "__interrupt__"} == {}
        assert [each["value"] for each in asked["__interrupt__"]] == ["what?"]
        assert answered == {"out": "42"}


@pytest.mark.parametrize("update", [{"log": ["t"]}, [("log", ["t"])], [["log", ["t"]]]])
@story
async def test_a_command_updates_by_channels_or_by_pairs(update):
    async with serving(GRAPHS()) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        await runs.wait(thread_id, "log", input={"log": ["in"]})

        command = {"update": update, "goto": "other"}
        told = await runs.wait(thread_id, "log", command=command)

        assert told == {"log": ["in", "first", "t", "other"]}


@pytest.mark.parametrize(
    ("command", "field"),
    [
        ({"update": 5}, "command.update"),
        ({"update": [["log"]]}, "command.update"),
        ({"goto": {"node": "other"}}, "command.goto"),
        ({"goto": ["other", {"node": "other"}]}, "command.goto"),
    ],
)
@story
async def test_a_command_that_is_none_is_refused(command, field):
    async with serving(GRAPHS()) as served:
        thread_id = (await served.client.threads.create())["thread_id"]

        with pytest.raises(UnprocessableEntityError, match=field):
            await served.client.runs.create(thread_id, "log", command=command)

        assert await served.client.runs.list(thread_id) == []


@story
async def test_a_node_may_be_sent_nothing():
    async with serving(GRAPHS()) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        await served.client.runs.wait(thread_id, "log", input={"log": []})

        command = {"goto": {"node": "other", "input": None}}
        told = await served.client.runs.wait(thread_id, "log", command=command)

        assert told == {"log": ["first", "other"]}


@pytest.mark.parametrize("on_completion", [None, "keep"])
@story
async def test_a_run_without_a_thread_has_one_id_for_its_nodes_and_its_clients(on_completion):
    seen, modes = [], ["debug", "checkpoints", "events"]
    body = {"assistant_id": "looks", "input": {"log": []}, "stream_mode": modes}
    async with serving({"looks": looking(seen)}) as served:
        answer = await served.http.post(
            "/runs/stream", json={**body, "on_completion": on_completion}
        )

        _, _, thread_id, *_ = answer.headers["location"].split("/")
        assert seen == [(thread_id, thread_id)]
        assert all(f"event: {mode}" in answer.text for mode in modes)
        assert f'"thread_id":"{thread_id}"' in answer.text
        assert f"{thread_id}/" not in answer.text


@story
async def test_runs_without_a_thread_at_the_same_time_have_states_of_their_own():
    async with serving(GRAPHS()) as served:
        wait = served.client.runs.wait

        told = await asyncio.gather(
            *(wait(None, "log", input={"log": [str(number)]}) for number in range(5))
        )

        assert told == [{"log": [str(number), "first"]} for number in range(5)]


@story
async def test_a_state_that_cannot_be_stored_is_told_with_what_to_do():
    async with serving(GRAPHS()) as served:
        told = await served.client.runs.wait(None, "odd", input=STATE, raise_error=False)

        error = told["__error__"]
        assert error["error"] == "UnstorableState"
        assert "'secret'" in error["message"]
        assert "NotPlain" in error["message"]
        assert "pickle_fallback=True" in error["message"]
