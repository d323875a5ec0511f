"""What a graph gives as its output is told; the rest of its state is kept, and followed."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.channels import EphemeralValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import interrupt

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.actors.executors.langgraph_parts import hidden_in
from callboard.actors.executors.langgraph_unstorable import UnstorableState
from callboard.domain.enums import RunScope

from .fake_run import FakeRun, finish, human
from .graphs import Flaky, goes, steps


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    answer: str


class Answer(TypedDict, total=False):
    answer: str


def says(text):
    return lambda _: {"messages": [AIMessage(text)]}


def answers(_):
    return {"answer": "42"}


def talk(*nodes, **options):
    """Its messages are none of its output."""
    graph, last = StateGraph(Talk, output_schema=Answer), START
    for name, node in nodes:
        graph.add_node(name, node)
        graph.add_edge(last, name)
        last = name
    return LangGraphExecutor(graph.compile(**options))


@pytest.mark.parametrize("options", [{}, {"checkpointer": False}])
def test_values_and_output_are_what_the_graph_gives_and_nothing_else(options):
    run = FakeRun(human("hi"), stream_mode=("values", "updates"))

    output = asyncio.run(finish(talk(("say", says("hm")), ("end", answers), **options), run))

    assert run.frames == [
        ("updates", {"say": None}),
        ("updates", {"end": {"answer": "42"}}),
        ("values", {"answer": "42"}),
    ]
    assert output.output == {"answer": "42"}


def test_a_run_that_writes_no_output_gives_what_is_there():
    async def story():
        executor = talk(("say", says("hm")))
        first = await finish(executor, FakeRun(human("hi")))
        await executor.threads.update("thread-1", {"answer": "42"}, as_node="say")
        return first, await finish(executor, FakeRun(human("and?"), run_id="run-2"))

    first, second = asyncio.run(story())

    assert first.output == {}
    assert second.output == {"answer": "42"}


def test_messages_that_are_no_output_are_recorded_once_also_across_attempts():
    async def story():
        executor = talk(("say", says("hm")), ("flaky", Flaky(1, says_later)), ("end", answers))
        run = FakeRun(human("hi"))
        captured = await executor.capture(run)
        with pytest.raises(RuntimeError):
            await executor.execute(run)
        run = run.again()
        await executor.execute(run)
        del captured
        return run.messages

    async def says_later(_):
        return {"messages": [AIMessage("well")]}

    assert asyncio.run(story()) == [("human", "hi"), ("ai", "hm"), ("ai", "well")]


def test_an_input_that_is_given_anew_is_recorded_once():
    async def story():
        executor = talk(("flaky", Flaky(1, answers_later)))
        run = FakeRun(human("hi"), scope=RunScope.STATELESS)
        captured = await executor.capture(run)
        with pytest.raises(RuntimeError):
            await executor.execute(run)
        run = run.again()
        await executor.execute(run)
        del captured
        return run.messages

    async def answers_later(_):
        return {"answer": "42"}

    assert asyncio.run(story()) == [("human", "hi")]


def test_checkpoints_that_were_not_asked_for_are_not_streamed():
    run = FakeRun(human("hi"), stream_mode=("values",))
    asked = FakeRun(human("hi"), run_id="run-2", stream_mode=("checkpoints",))
    executor = talk(("say", says("hm")))

    asyncio.run(finish(executor, run))
    asyncio.run(finish(executor, asked))

    assert run.frames == []
    assert {name for name, _ in asked.frames} == {"checkpoints"}
    assert "messages" in asked.of("checkpoints")[-1]["values"]


def test_a_question_comes_with_the_output():
    def ask(_):
        return {"answer": interrupt("what?")}

    async def story():
        executor = talk(("say", says("hm")), ("ask", ask))
        asked = await finish(executor, FakeRun(human("hi")))
        answered = FakeRun(run_id="run-2", command={"resume": "42"})
        return asked, await finish(executor, answered)

    asked, answered = asyncio.run(story())

    assert asked.output == {}
    assert [each["value"] for each in asked.completion_data["interrupts"]] == ["what?"]
    assert answered.output == {"answer": "42"}


def test_what_lasts_for_a_step_is_nothing_that_is_hidden():
    class State(Answer, total=False):
        jump: Annotated[str, EphemeralValue]

    def graph(state):
        return StateGraph(state, output_schema=Answer).add_node(answers).add_edge(START, "answers")

    assert hidden_in(graph(Answer).compile()) == frozenset()
    assert hidden_in(graph(State).compile()) == frozenset()
    assert hidden_in(graph(Talk).compile()) == {"messages"}


@pytest.mark.parametrize("scope", RunScope)
def test_a_node_sees_the_thread_that_the_run_has(scope):
    seen = []

    async def look(_, config):
        seen.append((config["configurable"]["thread_id"], config["metadata"]["thread_id"]))
        return {"path": ["looked"]}

    run = FakeRun({"path": []}, scope=scope, stream_mode=("checkpoints", "debug", "events"))
    asyncio.run(finish(LangGraphExecutor(steps(("look", look))), run))

    assert seen == [("thread-1", "thread-1")]
    assert run.of("checkpoints")
    assert "thread-1/" not in str(run.frames)


def test_runs_that_keep_no_state_do_not_see_each_other_on_one_thread():
    async def story():
        gate, executor = asyncio.Event(), None

        async def waits(_):
            await gate.wait()
            return {"path": ["waited"]}

        own = InMemorySaver()
        executor = LangGraphExecutor(
            steps(("waits", waits), ("b", goes("b"))).compile(checkpointer=own)
        )
        runs = [
            FakeRun({"path": [name]}, run_id=name, scope=RunScope.STATELESS) for name in ("x", "y")
        ]
        tasks = [asyncio.create_task(finish(executor, run)) for run in runs]
        gate.set()
        return [(await task).output["path"] for task in tasks], own

    paths, own = asyncio.run(story())

    assert paths == [["x", "waited", "b"], ["y", "waited", "b"]]
    assert not own.storage


class Kept(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    got: object


class NotPlain:
    """What JSON and msgpack have no form for."""


def keeps(value):
    return lambda _: {"got": value}


def keeping(node, **options):
    graph = StateGraph(Kept).add_node("n", node).add_edge(START, "n")
    return LangGraphExecutor(graph.compile(**options))


@pytest.mark.parametrize("scope", RunScope)
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_what_cannot_be_stored_is_named_with_what_to_do(scope, durability):
    run = FakeRun({"log": []}, scope=scope, config={"durability": durability})

    with pytest.raises(UnstorableState, match=r"'got'.*NotPlain.*pickle_fallback") as caught:
        asyncio.run(finish(keeping(keeps([NotPlain()])), run))

    assert isinstance(caught.value, TypeError)


def test_a_checkpointer_of_the_graphs_own_may_keep_any_object():
    serde = JsonPlusSerializer(pickle_fallback=True)
    executor = keeping(keeps(NotPlain()), checkpointer=InMemorySaver(serde=serde))

    output = asyncio.run(finish(executor, FakeRun({"log": []})))

    assert "NotPlain" in output.output["got"]


def test_a_type_error_of_the_graphs_own_stays_what_it_is():
    def fails(_):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine") as caught:
        asyncio.run(finish(keeping(fails), FakeRun({"log": []})))

    assert type(caught.value) is TypeError


@pytest.mark.parametrize(
    ("update", "log"), [({"log": ["t"]}, ["t"]), ([["log", ["t"]], ["log", ["u"]]], ["t", "u"])]
)
def test_a_command_updates_by_channels_or_by_pairs(update, log):
    async def story():
        executor = keeping(keeps(1))
        await finish(executor, FakeRun({"log": ["in"]}))
        return await finish(executor, FakeRun(run_id="run-2", command={"update": update}))

    assert asyncio.run(story()).output == {"log": ["in", *log], "got": 1}


def test_a_node_may_be_sent_nothing():
    seen = []

    def node(state):
        seen.append(state)
        return {"got": 1}

    async def story():
        executor = keeping(node)
        await finish(executor, FakeRun({"log": []}))
        command = {"goto": {"node": "n", "input": None}}
        await finish(executor, FakeRun(run_id="run-2", command=command))

    asyncio.run(story())

    assert seen[1:] == [None]
