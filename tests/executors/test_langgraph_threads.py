"""A graph's threads from outside of a run: their state and history, changed, copied, deleted."""

import asyncio

import pytest

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.domain.errors import InvalidValue

from .fake_run import FakeRun, finish, human
from .graphs import approval, chat, goes, nested, steps


def threads_after(work, graph=None, given=None):
    """What `work` returns, done with the threads of a graph that has run once."""

    async def story():
        executor = LangGraphExecutor(graph or steps(("a", goes("a")), ("b", goes("b"))))
        await finish(executor, FakeRun(given or {"path": ["in"]}))
        return await work(executor.threads)

    return asyncio.run(story())


def test_a_state_tells_values_checkpoint_and_parent():
    state = threads_after(lambda threads: threads.state("thread-1"))

    assert state["values"] == {"path": ["in", "a", "b"]}
    assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
    assert state["checkpoint"]["thread_id"] == "thread-1"
    assert state["checkpoint"]["checkpoint_ns"] == ""
    assert state["parent_checkpoint"]["checkpoint_id"] < state["checkpoint"]["checkpoint_id"]
    assert state["metadata"]["source"] == "loop"
    assert state["created_at"]


def test_a_thread_that_has_not_run_has_an_empty_state():
    state = threads_after(lambda threads: threads.state("other"))

    assert (state["values"], state["next"]) == ({}, [])
    assert state["checkpoint"]["checkpoint_id"] is None


def test_a_question_is_told_with_its_id_at_its_task():
    state = threads_after(lambda threads: threads.state("thread-1"), approval())

    (task,) = state["tasks"]
    (question,) = task["interrupts"]
    assert (task["name"], state["next"]) == ("ask", ["ask"])
    assert question["value"] == "go on?"
    assert state["interrupts"] == [question]


def test_a_subgraphs_state_comes_when_it_is_asked_for():
    async def both(threads):
        return (
            await threads.state("thread-1"),
            await threads.state("thread-1", subgraphs=True),
        )

    plain, whole = threads_after(both, nested())

    assert plain["tasks"][0]["state"] is None
    assert plain["tasks"][0]["checkpoint"]["checkpoint_ns"].startswith("inner:")
    assert whole["tasks"][0]["state"]["values"] == {"path": ["before", "looked"]} or whole["tasks"][
        0
    ]["state"]["next"] == ["ask"]


def test_history_goes_back_from_the_latest_and_can_be_cut():
    async def work(threads):
        history = await threads.history("thread-1")
        second = history[1]["checkpoint"]["checkpoint_id"]
        return (
            history,
            await threads.history("thread-1", limit=1),
            await threads.history("thread-1", before=second),
            await threads.history("thread-1", metadata={"source": "input"}),
        )

    history, one, earlier, inputs = threads_after(work)

    assert [state["next"] for state in history] == [[], ["b"], ["a"], ["__start__"]]
    assert one == history[:1]
    assert earlier == history[2:]
    assert inputs == history[3:]


def test_an_update_writes_as_a_node_and_answers_its_checkpoint():
    async def work(threads):
        new = await threads.update("thread-1", {"path": ["x"]}, as_node="a")
        return new, await threads.state("thread-1")

    new, state = threads_after(work)

    assert state["checkpoint"] == new
    assert state["values"] == {"path": ["in", "a", "b", "x"]}
    assert state["next"] == ["b"]


def test_an_update_of_an_older_checkpoint_forks():
    async def work(threads):
        first = (await threads.history("thread-1"))[2]["checkpoint"]
        await threads.update("thread-1", {"path": ["x"]}, as_node="a", checkpoint=first)
        return await threads.state("thread-1")

    assert threads_after(work)["values"] == {"path": ["in", "x"]}


@pytest.mark.parametrize("values", [3, {"path": 3}, [{"path": ["x"]}]])
def test_an_update_that_the_graph_does_not_take_is_refused(values):
    with pytest.raises(InvalidValue, match="values"):
        threads_after(lambda threads: threads.update("thread-1", values, as_node="nobody"))


def test_supersteps_make_a_state():
    async def work(threads):
        step = [{"values": {"path": ["in"]}, "as_node": "a"}]
        await threads.apply("new", [step, [{"values": {"path": ["x"]}, "as_node": "b"}]])
        with pytest.raises(InvalidValue, match="supersteps"):
            await threads.apply("new", [[{"values": 1, "as_node": "nobody"}]])
        return await threads.state("new")

    assert threads_after(work)["values"] == {"path": ["in", "x"]}


def test_a_copy_has_the_same_history_and_its_question_can_be_answered_there():
    async def story():
        executor = LangGraphExecutor(approval())
        await finish(executor, FakeRun({"path": []}))
        await executor.threads.copy("thread-1", "copy")
        answer = FakeRun(command={"resume": "yes"}, thread_id="copy", run_id="run-2")
        output = await finish(executor, answer)
        before = await executor.threads.history("thread-1")
        after = await executor.threads.history("copy")
        return output.output, before, after

    output, before, after = asyncio.run(story())
    assert output == {"path": ["prepared", "answer:yes", "acted"]}
    assert [s["values"] for s in after[-len(before) :]] == [s["values"] for s in before]


def test_a_thread_that_is_forgotten_has_no_history():
    async def work(threads):
        await threads.forget("thread-1")
        return await threads.history("thread-1")

    assert threads_after(work) == []


def test_a_graph_without_a_checkpointer_keeps_no_state():
    graph = steps(("a", goes("a"))).compile(checkpointer=False)

    assert not LangGraphExecutor(graph).threads.keeps_state


def test_a_graph_is_drawn_with_the_shapes_of_what_it_takes_and_gives():
    drawing = LangGraphExecutor(nested()).drawing
    drawn = asyncio.run(drawing.drawing(xray=True))
    schemas = asyncio.run(drawing.schemas())
    subgraphs = asyncio.run(drawing.subgraphs(recurse=True))

    assert {"source": "__start__", "target": "before"} in drawn["edges"]
    assert {node["id"] for node in drawn["nodes"]} >= {"inner:look", "inner:ask"}
    assert schemas["input_schema"]["properties"]["path"]["type"] == "array"
    assert schemas["state_schema"]["properties"]["path"]["type"] == "array"
    assert schemas["context_schema"] is None
    assert set(subgraphs) == {"inner"}


def test_whole_messages_grow_word_by_word():
    async def story():
        run = FakeRun(human("hi"), stream_mode=("messages-whole",))
        await finish(LangGraphExecutor(chat("how do you do")), run)
        return run.frames

    frames = asyncio.run(story())
    said = [data[0]["content"] for name, data in frames if name == "messages/partial"]
    assert said == ["how ", "how do ", "how do you ", "how do you do"]
    assert frames[0][0] == "messages/metadata"
    assert {data[0]["type"] for name, data in frames if name == "messages/partial"} == {"ai"}
    assert "messages" not in {name for name, _ in frames}


def test_whole_messages_and_their_pieces_can_be_had_together():
    async def story():
        run = FakeRun(human("hi"), stream_mode=("messages-whole", "messages-tuple", "values"))
        await finish(LangGraphExecutor(chat("how do")), run)
        return [name for name, _ in run.frames]

    names = asyncio.run(story())
    assert names.count("messages/partial") == 2
    assert names.count("messages") >= 2
    assert names.count("values") == 2


@pytest.mark.parametrize("subgraphs", [False, True])
def test_the_events_of_everything_in_a_graph_come_beside_its_parts(subgraphs):
    async def story():
        modes = ("events", "values", "updates")
        run = FakeRun({"path": ["in"]}, stream_mode=modes, config={"stream_subgraphs": subgraphs})
        graph = steps(("a", goes("a")), ("inner", steps(("b", goes("b"))).compile()))
        output = await finish(LangGraphExecutor(graph), run)
        return run, output

    run, output = asyncio.run(story())
    names = {name for name, _ in run.frames}
    assert output.output["path"][:2] == ["in", "a"]
    assert {"events", "values", "updates"} <= names
    assert any(name.startswith("updates|inner") for name in names) is subgraphs
    kinds = [event["event"] for event in run.of("events")]
    assert kinds[0] == "on_chain_start"
    assert kinds[-1] == "on_chain_end"


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_checkpoints_are_saved_as_durably_as_was_asked(durability):
    async def story():
        executor = LangGraphExecutor(steps(("a", goes("a")), ("b", goes("b"))))
        config = {"durability": durability}
        await finish(executor, FakeRun({"path": []}, config=config))
        return len(await executor.threads.history("thread-1"))

    assert asyncio.run(story()) == (1 if durability == "exit" else 4)


def test_an_unknown_durability_is_refused_before_anything_has_started():
    run = FakeRun({"path": []}, config={"durability": "perhaps"})

    with pytest.raises(InvalidValue, match=r"config\.durability"):
        asyncio.run(finish(LangGraphExecutor(steps(("a", goes("a")))), run))
