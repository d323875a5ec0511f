"""States that a graph cannot compute, and graphs that cannot be made: they hide nothing else."""

import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from langgraph_sdk.errors import InternalServerError, UnprocessableEntityError
from pydantic import BaseModel

from callboard.actors.executors.graphs import GraphFactory
from tests.server.house import echo, serving, story

ID = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"


class Steps(TypedDict):
    steps: Annotated[list, operator.add]


class Number(BaseModel):
    n: int = 0


def graph(state, node):
    return StateGraph(state).add_node("node", node).add_edge(START, "node")


def taken(_):
    return {"steps": ["taken"]}


def asking(_):
    return {"steps": [interrupt("go on?")]}


def said(text):
    return {"messages": [{"role": "user", "content": text}]}


def picky(left, right):
    if "bad" in right:
        raise RuntimeError("not that")
    return [*left, *right]


class Picky(TypedDict):
    steps: Annotated[list, picky]


def agents():
    return {
        "chat": graph(MessagesState, lambda _: {"messages": [("ai", "hello")]}),
        "steps": graph(Steps, taken),
        "picky": graph(Picky, taken),
        "asking": graph(Steps, asking),
        "number": graph(Number, lambda state: {"n": state.n + 1}),
        "echo": echo,
    }


BAD = {
    "a message without content": ("chat", said("hi"), {"input": {"messages": [{"role": "user"}]}}),
    "an input that is no list": ("steps", {"steps": ["a"]}, {"input": {"steps": 5}}),
    "an input that a reducer refuses": ("picky", {"steps": ["a"]}, {"input": {"steps": ["bad"]}}),
    "a command": ("steps", {"steps": ["a"]}, {"command": {"update": {"steps": 5}}}),
}


@pytest.fixture(params=[False, True], ids=["memory", "sqlite"])
def kept(request, tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/runs.db" if request.param else None


async def spoiled(served, name, good, bad):
    """A thread after a good run and a bad one; answers what the good one gave."""
    threads, runs = served.client.threads, served.client.runs
    await threads.create(thread_id=ID)
    values = await runs.wait(ID, name, input=good)
    failed = await runs.wait(ID, name, **bad, raise_error=False)
    assert "__error__" in failed
    return values


@pytest.mark.parametrize("case", BAD)
@story
async def test_after_bad_input_a_thread_is_read_and_goes_on(case, kept):
    name, good, bad = BAD[case]
    async with serving(agents(), store=kept) as served:
        threads, runs = served.client.threads, served.client.runs
        values = await spoiled(served, name, good, bad)

        found = await threads.get(ID)
        assert (found["status"], found["values"]) == ("error", values)
        assert [each["thread_id"] for each in await threads.search()] == [ID]
        assert await threads.count(values={"nothing": 1}) == 0
        assert (await threads.get_state(ID))["values"] == values
        assert (await threads.get_history(ID))[0]["values"] == values
        assert (await threads.copy(ID))["values"] == values
        (key,) = values
        again = await runs.wait(ID, name, input=good)
        assert len(again[key]) == 2 * len(values[key])


@story
async def test_a_value_that_no_node_can_read_is_shown_and_can_be_replaced(kept):
    async with serving(agents(), store=kept) as served:
        threads, runs = served.client.threads, served.client.runs
        await spoiled(served, "number", {"n": 1}, {"input": {"n": "one"}})

        assert (await threads.get(ID))["values"] == {"n": "one"}
        assert (await threads.get_state(ID))["values"] == {"n": "one"}
        history = await threads.get_history(ID)
        assert [state["values"] for state in history[:3]] == [{"n": "one"}, {"n": 2}, {"n": 2}]
        assert len(await threads.search()) == 1
        assert (await threads.copy(ID))["values"] == {"n": "one"}

        await threads.update_state(ID, {"n": 5}, as_node="node")

        assert (await threads.get_state(ID))["values"] == {"n": 5}
        assert await runs.wait(ID, "number", input={"n": 7}) == {"n": 8}


@story
async def test_what_was_to_come_of_a_value_that_no_node_can_read_can_be_dropped():
    async with serving(agents()) as served:
        await spoiled(served, "number", {"n": 1}, {"input": {"n": "one"}})

        await served.client.threads.update_state(ID, None, as_node="__end__")

        assert await served.client.runs.wait(ID, "number", input={"n": 7}) == {"n": 8}


@pytest.mark.parametrize("case", BAD)
@story
async def test_after_bad_input_a_state_can_be_changed(case):
    name, good, bad = BAD[case]
    async with serving(agents()) as served:
        threads = served.client.threads
        values = await spoiled(served, name, good, bad)
        (key,) = values

        await threads.update_state(ID, good, as_node="node")

        state = await threads.get_state(ID)
        assert (len(state["values"][key]), state["next"]) == (len(values[key]) + 1, [])


@story
async def test_a_change_that_is_refused_leaves_nothing_behind(kept):
    async with serving(agents(), store=kept) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        await runs.wait(ID, "asking", input={"steps": ["a"]})
        before = await threads.get_state(ID)

        for _ in range(2):
            with pytest.raises(UnprocessableEntityError, match="values"):
                await threads.update_state(ID, {"steps": 5}, as_node="node")

        assert await threads.get_state(ID) == before
        values = await runs.wait(ID, "asking", command={"resume": "yes"})
        assert values == {"steps": ["a", "yes"]}


@story
async def test_a_commands_update_reaches_the_graph():
    async with serving(agents()) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        await runs.wait(ID, "asking", input={"steps": ["a"]})

        command = {"resume": "yes", "update": {"steps": ["b"]}}
        values = await runs.wait(ID, "asking", command=command)

        assert values == {"steps": ["a", "b", "yes"]}


# Graphs that cannot be made.


def strict(config):
    who = config["configurable"]["who"]
    return graph(Steps, lambda _: {"steps": [who]})


def moody(_config):
    raise OSError("no network")


def strict_agents():
    made = {"strict": strict, "moody": moody}
    factories = {
        name: GraphFactory(lambda config, _use, _context, make=make: make(config), name)
        for name, make in made.items()
    }
    return {**agents(), **factories}


@story
async def test_a_thread_is_seen_through_the_graph_of_its_last_run(kept):
    config = {"configurable": {"who": "W"}}
    async with serving(strict_agents(), store=kept) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=ID)
        values = await runs.wait(ID, "strict", input={"steps": []}, config=config)

        assert values == {"steps": ["W"]}
        assert (await threads.get(ID))["values"] == values
        assert (await threads.search())[0]["values"] == values
        assert (await threads.get_state(ID))["values"] == values
        assert (await threads.get_history(ID))[0]["values"] == values
        await threads.update_state(ID, {"steps": ["x"]})
        assert (await threads.get_state(ID))["values"] == {"steps": ["W", "x"]}
        assert (await threads.copy(ID))["metadata"]["graph_id"] == "strict"


@pytest.mark.parametrize(
    ("name", "fault"), [("strict", "KeyError: 'who'"), ("moody", "OSError: no network")]
)
@story
async def test_a_graph_that_cannot_be_made_hides_no_threads_and_is_named(name, fault):
    async with serving(strict_agents()) as served:
        threads, runs = served.client.threads, served.client.runs
        await threads.create(thread_id=OTHER)
        values = await runs.wait(OTHER, "steps", input={"steps": []})
        await threads.create(thread_id=ID)
        failed = await runs.wait(ID, name, input={"steps": []}, raise_error=False)

        assert failed["__error__"]["error"] == fault.partition(":")[0]
        assert (await threads.get(ID))["values"] is None
        found = {each["thread_id"]: each["values"] for each in await threads.search()}
        assert found == {ID: None, OTHER: values}
        assert await threads.count(values={"steps": ["taken"]}) == 1
        assert (await threads.copy(ID))["values"] is None
        for call in (threads.get_state(ID), threads.get_history(ID)):
            with pytest.raises(InternalServerError, match=f"factory of graph '{name}'") as told:
                await call
            assert fault in str(told.value)


# What threads are sorted by.


@story
async def test_a_search_shows_the_time_that_it_sorts_by(kept):
    async with serving(agents(), store=kept) as served:
        threads, runs = served.client.threads, served.client.runs
        for each in (ID, OTHER):
            await threads.create(thread_id=each)
            await runs.wait(each, "steps", input={"steps": []})
        await threads.update(ID, metadata={"title": "new"})

        for order in ("asc", "desc"):
            found = await threads.search(sort_by="state_updated_at", sort_order=order)
            times = [each["state_updated_at"] for each in found]
            assert times == sorted(times, reverse=order == "desc")
        narrow = await threads.search(sort_by="state_updated_at", select=["state_updated_at"])
        assert [each["state_updated_at"] for each in narrow] == times
