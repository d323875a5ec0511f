"""Graphs as agents of a runtime."""

import asyncio

from langgraph.checkpoint.memory import InMemorySaver

from callboard.actors.runtime import Runtime
from callboard.domain.policies import RestartPolicy

from .fake_run import human
from .graphs import Blocked, Flaky, Gate, approval, goes, steps, tool_loop

KEY = {"configurable": {"thread_id": "t"}}


def test_a_graph_is_an_agent():
    async def story():
        async with Runtime({"graph": tool_loop()}) as runtime:
            run = await runtime.create_run("t", "graph", input=human("double 21"))
            result = await runtime.wait(run.run_id)
            return result, await runtime.list_messages("t"), await runtime.get_run(run.run_id)

    result, messages, run = asyncio.run(story())

    assert result.status == "success"
    assert result.output["messages"][-1]["content"] == "It is 42"
    assert [message.role for message in messages] == ["human", "ai", "tool", "ai"]
    assert run.usage.llm_call_count == 2


def test_a_graph_asks_and_a_later_run_answers():
    async def story():
        async with Runtime({"graph": approval()}) as runtime:
            asked = await runtime.create_and_wait("t", "graph", input={"path": []})
            return asked, await runtime.create_and_wait("t", "graph", command={"resume": "yes"})

    asked, answered = asyncio.run(story())

    assert asked.status == "success"
    assert asked.completion_data["interrupts"][0]["value"] == "go on?"
    assert answered.output == {"path": ["prepared", "answer:yes", "acted"]}


def test_a_failed_graph_is_restarted_behind_its_last_step():
    async def story():
        restart = RestartPolicy(max_restarts=1, backoff=0.0)
        graph = steps(("a", goes("a")), ("flaky", Flaky(1)))
        async with Runtime({"graph": graph}, restart=restart) as runtime:
            return await runtime.create_and_wait("t", "graph", input={"path": []})

    assert asyncio.run(story()).output == {"path": ["a", "flaky"]}


def test_a_rolled_back_graph_leaves_the_state_before_it():
    async def story():
        gate, saver = Gate(), InMemorySaver()
        graph = steps(("a", goes("a")), ("gated", gate)).compile(checkpointer=saver)
        gate.open.set()
        async with Runtime({"graph": graph}) as runtime:
            await runtime.create_and_wait("t", "graph", input={"path": ["kept"]})
            before = list(saver.list(KEY))
            gate.open.clear()
            gate.entered.clear()
            run = await runtime.create_run("t", "graph", input={"path": ["gone"]})
            await gate.entered.wait()
            await runtime.cancel(run.run_id, "rollback", wait=True)
            return before, list(saver.list(KEY)), await runtime.wait(run.run_id)

    before, after, result = asyncio.run(story())

    assert result.status == "interrupted"
    assert after == before


def test_a_run_is_not_reported_ended_while_a_plain_node_executes():
    async def story():
        blocked = Blocked()
        async with Runtime({"graph": steps(("blocked", blocked))}) as runtime:
            run = await runtime.create_run("t", "graph", input={"path": []})
            await blocked.entered.wait()
            await runtime.cancel(run.run_id)
            assert (await runtime.get_run(run.run_id)).status == "running"
            blocked.released.set()
            result = await runtime.wait(run.run_id)
            assert blocked.ended
            return result.status

    assert asyncio.run(story()) == "interrupted"
