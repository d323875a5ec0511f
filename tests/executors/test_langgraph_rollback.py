"""A rollback makes a thread's checkpoints exactly those before the run."""

import asyncio
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.actors.executors.langgraph_store import StoreSaver
from callboard.domain.errors import InvalidValue
from tests.durable.house import opened_store

from .fake_run import FakeRun, finish
from .graphs import Flaky, approval, asks, goes, nested, steps


@asynccontextmanager
async def in_memory():
    yield InMemorySaver()


@asynccontextmanager
async def in_sqlite():
    aio = pytest.importorskip("langgraph.checkpoint.sqlite.aio")
    async with aio.AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        yield saver


@asynccontextmanager
async def in_a_store():
    with TemporaryDirectory() as folder:
        async with opened_store(f"sqlite+aiosqlite:///{folder}/runs.db") as store:
            yield StoreSaver(store.graph_checkpoints)


@pytest.fixture(params=[in_memory, in_sqlite, in_a_store])
def saver(request):
    return request.param


async def picture(saver, thread_id="thread-1"):
    """All that a thread's checkpoints hold, in their order."""
    return [
        (found.config, found.checkpoint, found.metadata, found.parent_config, found.pending_writes)
        async for found in saver.alist({"configurable": {"thread_id": thread_id}})
    ]


async def rolled_back(executor, run):
    """The pictures before the run, after it, and after its rollback."""
    saver = executor._saver
    before = await picture(saver)
    captured = await executor.capture(run)
    await executor.execute(run)
    after = await picture(saver)
    await executor.restore(run, captured)
    restored = await picture(saver)
    await executor.restore(run, captured)
    assert await picture(saver) == restored
    return before, after, restored


STORIES = {
    "a new input": (steps(("a", goes("a"))), {"input": {"path": ["new"]}}),
    "an answer to a human's question": (approval(), {"command": {"resume": "yes"}}),
    "an answer in a subgraph": (nested(), {"command": {"resume": "yes"}}),
    "an input instead of an answer": (nested(), {"input": {"path": ["new"]}}),
    "an update": (approval(), {"command": {"update": {"path": ["u"]}, "goto": "act"}}),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_rollback_restores_checkpoints_and_pending_writes(saver, story):
    graph, does = STORIES[story]

    async def play():
        async with saver() as opened:
            executor = LangGraphExecutor(graph.compile(checkpointer=opened))
            await finish(executor, FakeRun({"path": ["old"]}))
            return await rolled_back(executor, FakeRun(run_id="run-2", **does))

    before, after, restored = asyncio.run(play())

    assert before
    assert after != before
    assert restored == before


def test_a_rollback_of_the_first_run_leaves_an_empty_thread(saver):
    async def play():
        async with saver() as opened:
            executor = LangGraphExecutor(nested().compile(checkpointer=opened))
            return await rolled_back(executor, FakeRun({"path": ["old"]}))

    before, after, restored = asyncio.run(play())

    assert after
    assert before == restored == []


def test_a_rollback_leaves_nothing_of_the_run_in_memory():
    async def play():
        executor = LangGraphExecutor(nested())
        await finish(executor, FakeRun({"path": ["other"]}, thread_id="other"))
        held = len(executor._saver.blobs), len(executor._saver.writes)
        await rolled_back(executor, FakeRun({"path": ["old"]}))
        return held, (len(executor._saver.blobs), len(executor._saver.writes)), executor

    held, left, executor = asyncio.run(play())

    assert left == held
    assert [thread for thread, spaces in executor._saver.storage.items() if spaces] == ["other"]


def test_a_rollback_undoes_a_run_that_started_from_an_older_checkpoint(saver):
    async def play():
        async with saver() as opened:
            executor = LangGraphExecutor(approval().compile(checkpointer=opened))
            await finish(executor, FakeRun({"path": ["old"]}))
            (asked, *_) = await picture(opened)
            older = asked[0]["configurable"]["checkpoint_id"]
            await finish(executor, FakeRun(run_id="run-2", command={"resume": "yes"}))
            config = {"configurable": {"checkpoint_id": older}}
            run = FakeRun(run_id="run-3", command={"resume": "no"}, config=config)
            return await rolled_back(executor, run)

    before, after, restored = asyncio.run(play())

    assert after != before
    assert restored == before


def test_the_question_can_be_answered_after_its_first_answer_was_rolled_back(saver):
    async def play():
        async with saver() as opened:
            executor = LangGraphExecutor(nested().compile(checkpointer=opened))
            await finish(executor, FakeRun({"path": []}))
            await rolled_back(executor, FakeRun(run_id="run-2", command={"resume": "first"}))
            answer = FakeRun(run_id="run-3", command={"resume": "second"})
            return await finish(executor, answer)

    output = asyncio.run(play()).output

    assert "answer:second" in output["path"]
    assert "answer:first" not in output["path"]


def test_a_rollback_undoes_all_attempts_of_a_run(saver):
    async def play():
        async with saver() as opened:
            graph = steps(("a", goes("a")), ("flaky", Flaky(1)), ("ask", asks("answer")))
            executor = LangGraphExecutor(graph.compile(checkpointer=opened))
            before = await picture(opened)
            run = FakeRun({"path": []})
            captured = await executor.capture(run)
            with pytest.raises(RuntimeError):
                await executor.execute(run)
            await executor.execute(run.again())
            await executor.restore(run.again(), captured)
            return before, await picture(opened)

    before, restored = asyncio.run(play())

    assert restored == before == []


def test_a_capture_reads_the_latest_checkpoint_and_no_history():
    async def play():
        executor = LangGraphExecutor(steps(("a", goes("a"))))
        await finish(executor, FakeRun({"path": []}))
        executor._saver.alist = executor._saver.list = None
        return await executor.capture(FakeRun({"path": []}, run_id="run-2"))

    assert len(asyncio.run(play()).undo.before) == 1


def test_a_malformed_pending_write_fails_the_capture():
    class Malformed(InMemorySaver):
        async def aget_tuple(self, config):
            found = await super().aget_tuple(config)
            return found and found._replace(pending_writes=[("task", "channel")])

    async def play():
        saver = Malformed()
        await (
            steps(("a", goes("a")))
            .compile(checkpointer=saver)
            .ainvoke({"path": []}, {"configurable": {"thread_id": "thread-1"}})
        )
        executor = LangGraphExecutor(steps(("a", goes("a"))).compile(checkpointer=saver))
        await executor.capture(FakeRun({"path": []}))

    with pytest.raises(InvalidValue, match="pending write"):
        asyncio.run(play())


def test_a_restore_that_failed_half_way_can_be_repeated():
    async def play():
        async with in_sqlite() as opened:
            executor = LangGraphExecutor(approval().compile(checkpointer=opened))
            await finish(executor, FakeRun({"path": ["old"]}))
            before = await picture(opened)
            run = FakeRun(run_id="run-2", command={"resume": "yes"})
            captured = await executor.capture(run)
            await executor.execute(run)
            put, opened.aput = opened.aput, None
            with pytest.raises(TypeError):
                await executor.restore(run, captured)
            opened.aput = put
            lost = await picture(opened)
            await executor.restore(run, captured)
            return before, lost, await picture(opened)

    before, lost, restored = asyncio.run(play())

    assert lost == []
    assert restored == before


def test_a_saver_that_deletes_by_run_is_asked_to_when_nothing_else_was_touched():
    async def play():
        async with in_sqlite() as opened:

            class DeletesByRun(type(opened)):
                async def adelete_for_runs(self, run_ids):
                    deleted.append(run_ids)

            opened.__class__ = DeletesByRun
            opened.adelete_thread = None
            graph = steps(("a", goes("a"))).compile(checkpointer=opened)
            await rolled_back(LangGraphExecutor(graph), FakeRun({"path": []}))

    deleted = []
    asyncio.run(play())

    assert deleted == [["run-1"]]
