"""What a graph's run shows: frames, output, messages, tokens, and stops for a human."""

import asyncio
from dataclasses import dataclass

import pytest
from langgraph.graph import START, StateGraph

from callboard.actors.executors.graphs import is_graph
from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.domain.enums import RunScope
from callboard.domain.errors import InvalidValue

from .fake_run import FakeRun, finish, human
from .graphs import (
    Path,
    approval,
    chat,
    goes,
    nested,
    steps,
    subagent,
    tool_loop,
    writes,
)


def test_a_graph_is_told_from_other_agents_compiled_or_not():
    graph = chat()

    assert is_graph(graph)
    assert is_graph(graph.compile())
    assert not is_graph(chat)
    assert not is_graph(object())


def test_what_is_no_graph_is_refused():
    with pytest.raises(InvalidValue, match="StateGraph"):
        LangGraphExecutor(chat)


def test_values_are_streamed_by_default_and_the_last_ones_are_the_output():
    run = FakeRun({"path": ["in"]})

    output = asyncio.run(finish(LangGraphExecutor(steps(("a", goes("a")), ("b", goes("b")))), run))

    assert run.frames == [
        ("values", {"path": ["in"]}),
        ("values", {"path": ["in", "a"]}),
        ("values", {"path": ["in", "a", "b"]}),
    ]
    assert output.output == {"path": ["in", "a", "b"]}
    assert output.completion_data == {}


def test_each_mode_that_is_asked_for_names_its_frames():
    run = FakeRun({"path": []}, stream_mode=("updates", "custom", "debug", "tasks", "checkpoints"))

    asyncio.run(finish(LangGraphExecutor(steps(("a", goes("a")), ("w", writes))), run))

    assert run.of("updates") == [{"a": {"path": ["a"]}}, {"w": {"path": ["wrote"]}}]
    assert run.of("custom") == [{"progress": 0.5}]
    assert {name for name, _ in run.frames} == {
        "updates", "custom", "debug", "tasks", "checkpoints"
    }  # fmt: skip


def test_an_answer_is_streamed_word_by_word_with_its_metadata():
    run = FakeRun(human("hi"), stream_mode=("messages-tuple",))

    asyncio.run(finish(LangGraphExecutor(chat("how do you do")), run))

    words = [chunk["content"] for chunk, _ in run.of("messages")]
    assert words[:4] == ["how ", "do ", "you ", "do"]
    assert {metadata["langgraph_node"] for _, metadata in run.of("messages")} == {"agent"}


def test_a_subgraph_streams_under_its_namespace_when_asked_to():
    run = FakeRun(human("hi"), stream_mode=("updates",), config={"stream_subgraphs": True})

    asyncio.run(finish(LangGraphExecutor(subagent()), run))

    names = [name.partition(":")[0] for name, _ in run.frames]
    assert names == ["updates", "updates|helper", "updates"]


@pytest.mark.parametrize("mode", ["lifecycle", "value", ""])
def test_an_unknown_mode_is_refused_before_the_graph_starts(mode):
    run = FakeRun({"path": []}, stream_mode=(mode,))

    with pytest.raises(InvalidValue, match="stream_mode"):
        asyncio.run(LangGraphExecutor(steps(("a", goes("a")))).capture(run))
    assert run.frames == []


@pytest.mark.parametrize(
    "command",
    [
        {},
        {"resume": None},
        {"say": 1},
        ["resume"],
        {"goto": 3},
        {"goto": [{"input": 1}]},
        {"goto": {"node": "ask"}},
        {"update": 5},
        {"update": "path"},
        {"update": ["path", []]},
        {"update": [["path", []], ["path"]]},
        {"update": [[1, []]]},
    ],
)
def test_a_command_that_says_nothing_langgraph_knows_is_refused(command):
    with pytest.raises(InvalidValue, match="command"):
        LangGraphExecutor(approval()).check(FakeRun(command=command))


@pytest.mark.parametrize(
    "config",
    [
        {"recursion_limit": 0},
        {"recursion_limit": True},
        {"max_concurrency": "2"},
        {"tags": "a"},
        {"configurable": [1]},
        {"metadata": "x"},
    ],
)
def test_a_config_that_cannot_be_used_is_refused(config):
    with pytest.raises(InvalidValue, match="config"):
        LangGraphExecutor(approval()).check(FakeRun(config=config))


def test_a_node_sees_the_callers_config_but_the_runs_own_ids():
    seen = {}

    async def look(_: Path, config):
        seen.update(config["configurable"], tags=config["tags"], metadata=config["metadata"])
        return {"path": []}

    forged = {"thread_id": "theirs", "run_id": "x", "__pregel_task_id": "x", "model": "m"}
    config = {"configurable": forged, "tags": ["t"], "metadata": {"run_id": "x", "a": 1}}
    run = FakeRun({"path": []}, config=config, metadata={"b": 2}, user_id="ann")
    asyncio.run(finish(LangGraphExecutor(steps(("look", look))), run))

    assert (seen["thread_id"], seen["run_id"]) == ("thread-1", "run-1")
    assert (seen["model"], seen["user_id"], seen["tags"]) == ("m", "ann", ["t"])
    assert seen["metadata"].items() >= {"run_id": "run-1", "a": 1, "b": 2}.items()


def test_the_recursion_limit_ends_a_graph_that_goes_round():
    graph = steps(("a", goes("a")))
    graph.add_edge("a", "a")

    run = FakeRun({"path": []}, config={"recursion_limit": 3})

    with pytest.raises(RecursionError):
        asyncio.run(finish(LangGraphExecutor(graph), run))


def test_a_graph_gets_its_context():
    @dataclass
    class Context:
        name: str

    async def greet(_: Path, runtime):
        return {"path": [f"hello {runtime.context.name}"]}

    graph = StateGraph(Path, context_schema=Context).add_node("greet", greet)
    graph.add_edge(START, "greet")
    run = FakeRun({"path": []}, context={"name": "ann"})

    output = asyncio.run(finish(LangGraphExecutor(graph), run))

    assert output.output == {"path": ["hello ann"]}


def test_the_messages_of_a_run_are_recorded_once_each_in_order():
    run = FakeRun(human("double 21"))

    asyncio.run(finish(LangGraphExecutor(tool_loop()), run))

    assert run.messages == [
        ("human", "double 21"), ("ai", ""), ("tool", "42"), ("ai", "It is 42")
    ]  # fmt: skip


def test_the_next_run_on_the_thread_records_only_what_it_adds():
    async def story():
        executor, second = LangGraphExecutor(chat("fine")), FakeRun(human("again"), run_id="run-2")
        await finish(executor, FakeRun(human("hi")))
        await finish(executor, second)
        return second

    assert asyncio.run(story()).messages == [("human", "again"), ("ai", "fine")]


@pytest.mark.parametrize("mode", ["values", "messages"])
def test_each_model_call_is_counted_once_streamed_or_not(mode):
    run = FakeRun(human("double 21"), stream_mode=(mode,))

    asyncio.run(finish(LangGraphExecutor(tool_loop()), run))

    assert run.usage == [("scripted-1", 10, 5, "lead_agent"), ("scripted-1", 20, 7, "lead_agent")]


def test_a_model_call_in_a_subgraph_is_the_subagents():
    run = FakeRun(human("hi"))

    asyncio.run(finish(LangGraphExecutor(subagent()), run))

    assert [caller for *_, caller in run.usage] == ["lead_agent", "subagent"]


@pytest.mark.parametrize("graph", [approval, nested])
def test_a_graph_that_asks_a_human_ends_and_a_later_run_answers(graph):
    async def story():
        executor = LangGraphExecutor(graph())
        asked = await finish(executor, FakeRun({"path": ["in"]}))
        answer = FakeRun(run_id="run-2", command={"resume": "yes"})
        return asked, await finish(executor, answer)

    asked, answered = asyncio.run(story())

    (interrupt,) = asked.completion_data["interrupts"]
    assert interrupt["value"] == "go on?"
    assert interrupt["id"]
    assert len(asked.completion_data["next"]) == 1
    assert "__interrupt__" not in asked.output
    assert "answer:yes" in answered.output["path"]
    assert answered.completion_data == {}


@pytest.mark.parametrize(
    ("stops", "path"),
    [({"interrupt_before": ("b",)}, ["a"]), ({"interrupt_after": "*"}, ["a"])],
)
def test_a_breakpoint_stops_the_graph_and_a_run_without_input_goes_on(stops, path):
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a")), ("b", goes("b"))))
        stopped = await finish(executor, FakeRun({"path": []}, **stops))
        return stopped, await finish(executor, FakeRun(None, run_id="run-2"))

    stopped, went_on = asyncio.run(story())

    assert stopped.output == {"path": path}
    assert stopped.completion_data == {"interrupts": [], "next": ["b"]}
    assert went_on.output == {"path": ["a", "b"]}


def test_a_command_updates_the_state_and_goes_to_a_node():
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a")), ("b", goes("b"))))
        await finish(executor, FakeRun({"path": []}))
        command = {"update": {"path": ["update"]}, "goto": "b"}
        return await finish(executor, FakeRun(run_id="run-2", command=command))

    assert asyncio.run(story()).output == {"path": ["a", "b", "update", "b"]}


def test_a_run_may_start_from_an_older_checkpoint():
    async def story():
        executor, first = LangGraphExecutor(steps(("a", goes("a")))), FakeRun({"path": ["one"]})
        first.stream_mode = ("checkpoints",)
        await finish(executor, first)
        await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))
        older = first.of("checkpoints")[-1]["config"]["configurable"]["checkpoint_id"]
        config = {"configurable": {"checkpoint_id": older}}
        return await finish(executor, FakeRun({"path": ["three"]}, run_id="run-3", config=config))

    assert asyncio.run(story()).output == {"path": ["one", "a", "three", "a"]}


@pytest.mark.parametrize("scope", [RunScope.STATELESS, RunScope.TEMPORARY_THREAD])
def test_a_run_that_is_not_stateful_neither_reads_nor_leaves_state(scope):
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a"))))
        await finish(executor, FakeRun({"path": ["kept"]}))
        before = {thread: set(spaces) for thread, spaces in executor._saver.storage.items()}
        apart = await finish(executor, FakeRun({"path": ["gone"]}, run_id="run-2", scope=scope))
        return apart, before, executor._saver

    apart, before, saver = asyncio.run(story())

    assert apart.output == {"path": ["gone", "a"]}
    assert {thread: set(spaces) for thread, spaces in saver.storage.items()} == before
    assert {key[0] for key in (*saver.writes, *saver.blobs)} == {"thread-1"}


def test_a_graph_without_a_checkpointer_remembers_its_threads():
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a"))))
        await finish(executor, FakeRun({"path": ["one"]}))
        return await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))

    assert asyncio.run(story()).output == {"path": ["one", "a", "two", "a"]}


def test_a_graph_that_wants_no_checkpointer_remembers_nothing():
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a"))).compile(checkpointer=False))
        await finish(executor, FakeRun({"path": ["one"]}))
        return await finish(executor, FakeRun({"path": ["two"]}, run_id="run-2"))

    assert asyncio.run(story()).output == {"path": ["two", "a"]}
