"""What a run finds on its thread: messages that are known, whatever the graph makes of the rest."""

import asyncio
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph, add_messages
from langgraph.types import interrupt

from callboard.actors.executors.graphs import GraphFactory
from callboard.actors.executors.langgraph import LangGraphExecutor

from .fake_run import FakeRun, finish


def added(state, writes):
    for write in writes:
        state = add_messages(state, write)
    return state


class Changes(TypedDict):
    messages: Annotated[list, DeltaChannel(added, snapshot_frequency=3)]


class Counting(InMemorySaver):
    """Counts what is read."""

    reads = 0

    async def aget_tuple(self, config):
        self.reads += 1
        return await super().aget_tuple(config)


def answering(state):
    def answer(found: Any):
        said = [each for each in found["messages"] if isinstance(each, HumanMessage)]
        return {"messages": [AIMessage(f"answer {len(said)}", id=f"ai-{len(said)}")]}

    return StateGraph(state).add_node("answer", answer).add_edge(START, "answer")


def given(text):
    return {"messages": [{"role": "user", "content": text, "id": f"in-{text}"}]}


def recorded(run):
    return [content for _, content in run.messages]


@pytest.mark.parametrize("state", [MessagesState, Changes])
def test_messages_of_earlier_runs_are_not_recorded_again(state):
    async def story():
        executor = LangGraphExecutor(answering(state))
        runs = [FakeRun(given(f"{n}"), run_id=f"run-{n}") for n in range(5)]
        for run in runs:
            await finish(executor, run)
        return [recorded(run) for run in runs]

    assert asyncio.run(story()) == [[f"{n}", f"answer {n + 1}"] for n in range(5)]


def test_what_a_task_said_before_another_asked_is_recorded_once():
    async def story():
        graph = StateGraph(MessagesState)
        graph.add_node("says", lambda _: {"messages": [AIMessage("said", id="said")]})
        graph.add_node("asks", lambda _: {"messages": [AIMessage(interrupt("?"), id="asked")]})
        executor = LangGraphExecutor(graph.add_edge(START, "says").add_edge(START, "asks"))
        first = FakeRun(given("go"))
        second = FakeRun(run_id="run-2", command={"resume": "yes"})
        await finish(executor, first)
        await finish(executor, second)
        return recorded(first), recorded(second)

    first, second = asyncio.run(story())
    assert sorted(first + second) == ["go", "said", "yes"]
    assert "said" in first


def test_a_message_that_is_said_again_from_an_older_checkpoint_is_recorded():
    async def story():
        executor = LangGraphExecutor(answering(MessagesState))
        await finish(executor, FakeRun(given("first")))
        start = (await executor.threads.history("thread-1"))[0]["checkpoint"]["checkpoint_id"]
        await finish(executor, FakeRun(given("second"), run_id="run-2"))
        changed = {"messages": [{"role": "user", "content": "changed", "id": "in-second"}]}
        config = {"configurable": {"checkpoint_id": start}}
        again = FakeRun(changed, run_id="run-3", config=config)
        await finish(executor, again)
        return recorded(again)

    assert asyncio.run(story()) == ["changed", "answer 2"]


def test_a_thread_is_read_once_before_its_next_run_and_no_graph_is_made_for_it():
    made, saver = [], Counting()

    def make(_config, use, _context):
        made.append(use)
        return answering(MessagesState)

    async def story():
        executor = LangGraphExecutor(GraphFactory(make))
        executor._saver = saver
        await finish(executor, FakeRun(given("first")))
        saver.reads = 0
        made.clear()
        captured = await executor.capture(FakeRun(given("second"), run_id="run-2"))
        return captured.seen

    assert asyncio.run(story()) == {"in-first", "ai-1"}
    assert (saver.reads, made) == (1, [])


@pytest.mark.parametrize("update", [{"messages": [{"role": "user"}]}, [("messages", [{}])]])
def test_a_command_that_the_graph_does_not_take_is_not_saved(update):
    async def story():
        executor = LangGraphExecutor(answering(MessagesState))
        await finish(executor, FakeRun(given("first")))
        before = await executor.threads.history("thread-1")
        with pytest.raises(ValueError, match="Message dict"):
            await finish(executor, FakeRun(run_id="run-2", command={"update": update}))
        return before, await executor.threads.history("thread-1")

    before, after = asyncio.run(story())
    assert before == after
