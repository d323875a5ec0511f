"""A restarted attempt repeats no finished step and applies no input twice."""

import asyncio

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt

from callboard.actors.executors.langgraph import LangGraphExecutor

from .fake_run import FakeRun, finish, human
from .graphs import Flaky, asks, goes, steps


async def fail_then_finish(executor, run):
    captured = await executor.capture(run)
    with pytest.raises(RuntimeError, match="flaky"):
        await executor.execute(run)
    again = run.again()
    output = await executor.execute(again)
    del captured
    return output.output


def test_a_restart_goes_on_behind_the_last_finished_step():
    flaky = Flaky(1)
    executor = LangGraphExecutor(steps(("a", goes("a")), ("flaky", flaky)))

    output = asyncio.run(fail_then_finish(executor, FakeRun({"path": ["in"]})))

    assert output == {"path": ["in", "a", "flaky"]}
    assert flaky.calls == 2


def test_a_node_that_finished_beside_the_failed_one_is_not_repeated():
    beside, flaky, both = Flaky(0, goes("beside")), Flaky(1), asyncio.Event

    async def late(state):
        await done.wait()
        return await flaky(state)

    async def first(state):
        update = await beside(state)
        asyncio.get_running_loop().call_soon(done.set)
        return update

    graph = steps(("first", first))
    graph.add_node("late", late)
    graph.add_edge(START, "late")
    done = both()

    output = asyncio.run(fail_then_finish(LangGraphExecutor(graph), FakeRun({"path": []})))

    assert output == {"path": ["beside", "flaky"]}
    assert (beside.calls, flaky.calls) == (1, 2)


def test_a_restart_on_a_thread_with_history_applies_the_input_once():
    async def story():
        flaky = Flaky(0)
        executor = LangGraphExecutor(steps(("flaky", flaky)))
        await finish(executor, FakeRun({"path": ["old"]}))
        flaky.left = 1
        return await fail_then_finish(executor, FakeRun({"path": ["new"]}, run_id="run-2"))

    assert asyncio.run(story()) == {"path": ["old", "flaky", "new", "flaky"]}


def test_a_graph_without_checkpoints_is_given_the_input_anew():
    graph = steps(("a", goes("a")), ("flaky", Flaky(1))).compile(checkpointer=False)

    output = asyncio.run(fail_then_finish(LangGraphExecutor(graph), FakeRun({"path": ["in"]})))

    assert output == {"path": ["in", "a", "flaky"]}


@pytest.mark.parametrize("checkpointer", [None, False])
def test_a_restart_records_no_message_twice(checkpointer):
    flaky = Flaky(1, lambda _: asyncio.sleep(0, {"messages": [AIMessage("done", id="ai")]}))
    graph = StateGraph(MessagesState).add_node("flaky", flaky).add_edge(START, "flaky")
    run = FakeRun(human("hi"))

    executor = LangGraphExecutor(graph.compile(checkpointer=checkpointer))
    asyncio.run(fail_then_finish(executor, run))

    assert run.messages == [("human", "hi"), ("ai", "done")]


@pytest.mark.parametrize("by_id", [False, True])
def test_a_restarted_resume_answers_the_question_it_was_for_and_no_other(by_id):
    async def two_questions(state):
        first = interrupt("first?")
        await flaky(state)
        return {"path": [first, interrupt("second?")]}

    flaky = Flaky(1)

    async def story():
        executor = LangGraphExecutor(steps(("ask", two_questions)))
        asked = await finish(executor, FakeRun({"path": []}))
        (question,) = asked.completion_data["interrupts"]
        resume = {question["id"]: "one"} if by_id else "one"
        run = FakeRun(run_id="run-2", command={"resume": resume})
        captured = await executor.capture(run)
        with pytest.raises(RuntimeError, match="flaky"):
            await executor.execute(run)
        stopped = await executor.execute(run.again())
        del captured
        answer = FakeRun(run_id="run-3", command={"resume": "two"})
        return stopped, await finish(executor, answer)

    stopped, ended = asyncio.run(story())

    assert [i["value"] for i in stopped.completion_data["interrupts"]] == ["second?"]
    assert ended.output == {"path": ["one", "two"]}


def test_a_restarted_command_updates_the_state_once():
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a")), ("flaky", flaky)))
        await finish(executor, FakeRun({"path": []}))
        flaky.left = 1
        command = {"update": {"path": ["update"]}, "goto": "flaky"}
        return await fail_then_finish(executor, FakeRun(run_id="run-2", command=command))

    flaky = Flaky(0)

    assert asyncio.run(story()) == {"path": ["a", "flaky", "update", "flaky"]}


def test_a_restart_inside_a_subgraph_keeps_the_steps_the_subgraph_finished():
    looked, flaky = Flaky(0, goes("looked")), Flaky(1)
    inner = steps(("ask", asks("answer")), ("look", looked), ("flaky", flaky))

    async def story():
        executor = LangGraphExecutor(steps(("inner", inner.compile())))
        await finish(executor, FakeRun({"path": []}))
        run = FakeRun(run_id="run-2", command={"resume": "yes"})
        return await fail_then_finish(executor, run)

    assert asyncio.run(story())["path"] == ["answer:yes", "looked", "flaky"]
    assert (looked.calls, flaky.calls) == (1, 2)


def test_a_restart_goes_on_from_its_own_checkpoint_not_from_where_the_run_started():
    async def story():
        executor, first = LangGraphExecutor(steps(("a", a), ("flaky", flaky))), FakeRun()
        first.input, first.stream_mode = {"path": ["one"]}, ("checkpoints",)
        await finish(executor, first)
        older = first.of("checkpoints")[-1]["config"]["configurable"]["checkpoint_id"]
        flaky.left = 1
        config = {"configurable": {"checkpoint_id": older}}
        run = FakeRun({"path": ["two"]}, run_id="run-2", config=config)
        return await fail_then_finish(executor, run)

    a, flaky = Flaky(0, goes("a")), Flaky(0)

    assert asyncio.run(story()) == {"path": ["one", "a", "flaky", "two", "a", "flaky"]}
    assert a.calls == 2
