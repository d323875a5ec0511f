"""An aborted graph has unwound when its run ends; a fenced one writes nothing more."""

import asyncio
from contextlib import suppress

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import interrupt

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.domain.enums import CancelAction, RunScope
from callboard.domain.errors import AttemptFenced

from .fake_run import FakeRun, finish, human
from .graphs import Blocked, Gate, approval, goes, steps

MODES = [("values",), ("messages", "custom")]
"""With the second, LangGraph runs a step's tasks in another way."""


async def settle():
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def saved(executor):
    """The checkpoints there are, by namespace."""
    spaces = executor._saver.storage.get("thread-1", {})
    return {space: list(found) for space, found in spaces.items() if found}


async def aborted(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("mode", MODES)
def test_an_aborted_graph_has_unwound_when_execute_ends(mode):
    async def story():
        gate = Gate()
        gate.may_unwind.clear()
        executor = LangGraphExecutor(steps(("gated", gate)))
        task = asyncio.create_task(finish(executor, FakeRun({"path": []}, stream_mode=mode)))
        await gate.entered.wait()
        task.cancel()
        await gate.unwinding.wait()
        await settle()
        assert not task.done()
        gate.may_unwind.set()
        await aborted(task)
        assert gate.unwound

    asyncio.run(story())


def test_a_second_cancellation_does_not_cut_the_unwinding_short():
    async def story():
        gate = Gate()
        gate.may_unwind.clear()
        task = asyncio.create_task(
            finish(LangGraphExecutor(steps(("gated", gate))), FakeRun({"path": []}))
        )
        await gate.entered.wait()
        task.cancel()
        await gate.unwinding.wait()
        task.cancel()
        await settle()
        assert not task.done()
        gate.may_unwind.set()
        await aborted(task)
        assert gate.unwound

    asyncio.run(story())


@pytest.mark.parametrize("mode", MODES)
def test_after_an_abort_the_thread_takes_the_next_input(mode):
    async def story():
        gate = Gate()
        executor = LangGraphExecutor(steps(("a", goes("a")), ("gated", gate)))
        run = FakeRun({"path": ["one"]}, stream_mode=mode)
        task = asyncio.create_task(finish(executor, run))
        await gate.entered.wait()
        await aborted(task)
        gate.open.set()
        return await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))

    assert asyncio.run(story()).output == {"path": ["one", "a", "two", "a", "gated"]}


@pytest.mark.parametrize("mode", MODES)
def test_an_aborted_thread_waits_for_no_human(mode):
    async def story():
        gate = Gate()
        graph = steps(("gated", gate)).compile(checkpointer=InMemorySaver())
        run = FakeRun({"path": ["one"]}, stream_mode=mode)
        task = asyncio.create_task(finish(LangGraphExecutor(graph), run))
        await gate.entered.wait()
        await aborted(task)
        return await graph.aget_state({"configurable": {"thread_id": "thread-1"}})

    assert asyncio.run(story()).interrupts == ()


@pytest.mark.parametrize("mode", MODES)
def test_an_interrupted_graph_leaves_no_step_to_come_and_keeps_what_the_step_had_finished(mode):
    async def story():
        gate = Gate()
        graph = steps(("a", goes("a")), ("gated", gate))
        graph.add_node("beside", goes("beside"))
        graph.add_edge("a", "beside")
        executor = LangGraphExecutor(graph)
        run = FakeRun({"path": ["one"]}, stream_mode=mode)
        task = asyncio.create_task(finish(executor, run))
        await gate.entered.wait()
        await settle()  # its neighbour has finished
        run.abort.action = CancelAction.INTERRUPT
        await aborted(task)
        state = await executor.threads.state("thread-1")
        gate.open.set()
        again = await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))
        return state, again

    state, again = asyncio.run(story())
    assert (state["next"], state["tasks"]) == ([], [])
    assert state["values"] == {"path": ["one", "a", "beside"]}
    assert again.output["path"][:4] == ["one", "a", "beside", "two"]


def test_a_question_that_was_answered_by_an_interrupted_run_is_no_question_any_more():
    async def story():
        gate = Gate()

        async def ask(state):
            answer = interrupt("go on?")
            await gate(state)
            return {"path": [answer]}

        executor = LangGraphExecutor(steps(("ask", ask)))
        await finish(executor, FakeRun({"path": []}))
        assert (await executor.threads.state("thread-1"))["interrupts"]
        run = FakeRun(command={"resume": "yes"}, run_id="run-2")
        task = asyncio.create_task(finish(executor, run))
        await gate.entered.wait()
        run.abort.action = CancelAction.INTERRUPT
        await aborted(task)
        return await executor.threads.state("thread-1")

    state = asyncio.run(story())
    assert (state["next"], state["interrupts"]) == ([], [])


def test_a_run_that_is_interrupted_before_it_has_begun_leaves_an_older_question():
    class Slow(InMemorySaver):
        waits = False

        async def aput_writes(self, *args):
            if self.waits:
                began.set()
                await asyncio.Event().wait()
            await super().aput_writes(*args)

    async def story():
        saver = Slow()
        executor = LangGraphExecutor(approval().compile(checkpointer=saver))
        await finish(executor, FakeRun({"path": []}))
        run = FakeRun(command={"resume": "yes"}, run_id="run-2")
        saver.waits = True
        captured = await executor.capture(run)
        task = asyncio.create_task(executor.execute(run))
        task.cancel()
        run.abort.action = CancelAction.INTERRUPT
        await aborted(task)
        del captured
        return await executor.threads.state("thread-1")

    began = asyncio.Event()
    assert asyncio.run(story())["interrupts"]


def test_a_tool_call_that_an_abort_left_without_an_answer_does_not_block_the_thread():
    async def agent(state):
        call = {"name": "wait", "args": {}, "id": "c", "type": "tool_call"}
        last = state["messages"][-1].content == "again"
        return {"messages": [AIMessage("fine") if last else AIMessage("", tool_calls=[call])]}

    async def story():
        gate = Gate()

        @tool
        async def wait() -> str:
            """Wait."""
            return str(await gate({}))

        graph = StateGraph(MessagesState).add_node("agent", agent)
        graph.add_node("tools", ToolNode([wait])).add_edge(START, "agent")
        graph.add_conditional_edges(
            "agent", lambda s: "tools" if s["messages"][-1].tool_calls else "__end__"
        )
        executor = LangGraphExecutor(graph)
        task = asyncio.create_task(finish(executor, FakeRun(human("hi"))))
        await gate.entered.wait()
        await aborted(task)
        run = FakeRun(human("again"), run_id="run-2")
        await finish(executor, run)
        return run.messages

    assert asyncio.run(story()) == [("human", "again"), ("ai", "fine")]


@pytest.mark.parametrize("mode", MODES)
def test_an_aborted_graph_has_not_unwound_while_a_plain_node_executes(mode):
    async def story():
        blocked = Blocked()
        executor = LangGraphExecutor(steps(("blocked", blocked)))
        task = asyncio.create_task(finish(executor, FakeRun({"path": []}, stream_mode=mode)))
        await blocked.entered.wait()
        task.cancel()
        await settle()
        assert not task.done()
        blocked.released.set()
        await aborted(task)
        assert blocked.ended

    asyncio.run(story())


def test_an_aborted_graph_has_not_unwound_while_a_plain_tool_executes():
    async def story():
        blocked = Blocked()

        @tool
        def block() -> str:
            """Block."""
            return str(blocked({}))

        call = {"name": "block", "args": {}, "id": "c", "type": "tool_call"}
        graph = StateGraph(MessagesState).add_node("tools", ToolNode([block]))
        graph.add_edge(START, "tools")
        given = {"messages": [AIMessage("", tool_calls=[call]).model_dump()]}
        task = asyncio.create_task(finish(LangGraphExecutor(graph), FakeRun(given)))
        await blocked.entered.wait()
        task.cancel()
        await settle()
        assert not task.done()
        blocked.released.set()
        await aborted(task)
        assert blocked.ended

    asyncio.run(story())


def test_a_failed_step_has_not_ended_while_a_plain_node_beside_it_executes():
    async def story():
        blocked = Blocked()

        async def fail(_):
            await blocked.entered.wait()
            raise RuntimeError("failed")

        graph = steps(("blocked", blocked))
        graph.add_node("fail", fail).add_edge(START, "fail")
        task = asyncio.create_task(finish(LangGraphExecutor(graph), FakeRun({"path": []})))
        await blocked.entered.wait()
        await settle()
        assert not task.done()
        blocked.released.set()
        with pytest.raises(RuntimeError, match="failed"):
            await task
        assert blocked.ended

    asyncio.run(story())


async def abandoned(executor, run, gate):
    """Abort a run whose graph does not unwind, and fence it as the runtime does."""
    captured = await executor.capture(run)
    task = asyncio.create_task(executor.execute(run))
    await gate.entered.wait()
    task.cancel()
    await settle()
    run.fenced = True
    await aborted(task)
    return captured


class Stubborn(Gate):
    """Goes on whatever happens."""

    async def __call__(self, _):
        self.entered.set()
        while not self.open.is_set():
            with suppress(asyncio.CancelledError):
                await self.open.wait()
        self.unwound = True
        return {"path": [self.name]}


def test_what_an_abandoned_graph_saves_later_goes_nowhere():
    async def story():
        gate = Stubborn()
        executor = LangGraphExecutor(steps(("gated", gate), ("later", goes("later"))))
        captured = await abandoned(executor, FakeRun({"path": ["one"]}), gate)
        before = saved(executor)
        gate.open.set()
        await settle()
        assert gate.unwound
        assert before
        assert saved(executor) == before
        del captured

    asyncio.run(story())


def test_an_abandoned_run_can_be_rolled_back_under_its_graph():
    async def story():
        gate = Stubborn()
        executor, run = LangGraphExecutor(steps(("gated", gate))), FakeRun({"path": ["one"]})
        await executor.restore(run, await abandoned(executor, run, gate))
        gate.open.set()
        await settle()
        assert not saved(executor)
        again = await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))
        assert again.output == {"path": ["two", "gated"]}

    asyncio.run(story())


@pytest.mark.leaves_tasks
def test_a_fenced_graph_is_not_waited_for_even_in_an_os_thread():
    async def story():
        blocked, run = Blocked(), FakeRun({"path": []})
        task = asyncio.create_task(finish(LangGraphExecutor(steps(("blocked", blocked))), run))
        await blocked.entered.wait()
        run.fenced = True
        await aborted(task)
        assert not blocked.ended
        blocked.released.set()

    asyncio.run(story())


@pytest.mark.leaves_tasks
def test_a_rollback_waits_for_a_write_that_was_under_way_when_the_run_was_fenced():
    class Slow(InMemorySaver):
        async def aput_writes(self, *args):
            began.set()
            await go_on.wait()
            await super().aput_writes(*args)

    async def story():
        saver, run = Slow(), FakeRun({"path": []})
        graph = steps(("a", goes("a"))).compile(checkpointer=saver)
        executor = LangGraphExecutor(graph)
        captured = await executor.capture(run)
        task = asyncio.create_task(executor.execute(run))
        await began.wait()
        run.fenced = True
        await aborted(task)
        restoring = asyncio.create_task(executor.restore(run, captured))
        await settle()
        assert not restoring.done()
        go_on.set()
        await restoring
        assert not saver.storage.get("thread-1")
        assert not saver.writes

    began, go_on = asyncio.Event(), asyncio.Event()
    asyncio.run(story())


def test_a_graph_that_a_plain_node_runs_is_fenced_too():
    async def story(fenced):
        run, inner = FakeRun({"path": []}), steps(("inner", lambda _: {"path": ["inner"]}))
        inner = inner.compile(checkpointer=True)

        def outer(state, config):
            run.fenced = fenced
            inner.invoke(state, config)
            return {"path": []}

        executor = LangGraphExecutor(steps(("outer", outer)))
        with suppress(AttemptFenced):
            await finish(executor, run)
        return set(saved(executor))

    assert asyncio.run(story(fenced=False)) == {"", "outer"}
    assert asyncio.run(story(fenced=True)) == {""}


def test_the_checkpoints_of_a_stateless_run_are_its_own():
    async def story():
        gate = Gate()
        executor = LangGraphExecutor(steps(("a", goes("a")), ("gated", gate)))
        run = FakeRun({"path": []}, scope=RunScope.STATELESS)
        task = asyncio.create_task(finish(executor, run))
        await gate.entered.wait()
        assert not executor._saver.storage
        await aborted(task)
        assert not executor._saver.storage
        assert not executor._saver.writes

    asyncio.run(story())
