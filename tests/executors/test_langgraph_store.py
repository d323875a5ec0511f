"""The states of graphs in a store of callboard, by LangGraph's own rules for checkpointers."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver

from callboard import Runtime
from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.actors.executors.langgraph_store import StoreSaver
from callboard.domain.errors import InvalidValue, WrongLoop
from callboard.domain.store_errors import StoreUnavailable
from callboard.store.sql import SqlStore

from .fake_run import FakeRun, finish
from .graphs import goes, steps


def at(thread_id, **more):
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


def checkpoint(number, **values):
    return empty_checkpoint() | {"id": f"{number:04d}", "channel_values": values}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}"
    return request.getfixturevalue("postgres").new_database()


@asynccontextmanager
async def kept_in(url):
    store = SqlStore(url)
    await store.open()
    try:
        yield StoreSaver(store.graph_checkpoints)
    finally:
        await store.close()


def test_it_keeps_what_a_checkpointer_must(url):
    @checkpointer_test(name="callboard")
    async def one():
        async with kept_in(url) as saver:
            yield saver

    report = asyncio.run(validate(one))

    results = report.results.values()
    assert [each.failures for each in results if each.failures] == []
    tried = {name for name, each in report.results.items() if each.detected and each.tests_passed}
    assert tried >= {
        "put",
        "put_writes",
        "get_tuple",
        "list",
        "delete_thread",
        "delete_for_runs",
        "copy_thread",
    }


def test_what_was_kept_is_there_after_a_restart(url):
    graph = steps(("a", goes("a")), ("b", goes("b")))

    async def story():
        for said in ("one", "two"):
            async with Runtime({"graph": graph}, url) as runtime:
                run = await runtime.create_run("t", "graph", input={"path": [said]})
                result = await runtime.wait(run.run_id)
        return result.output

    assert asyncio.run(story()) == {"path": ["one", "a", "b", "two", "a", "b"]}


def test_a_graph_keeps_a_checkpointer_of_its_own(tmp_path):
    own = InMemorySaver()
    graph = steps(("a", goes("a"))).compile(checkpointer=own)

    async def story():
        async with Runtime({"graph": graph}, f"sqlite+aiosqlite:///{tmp_path / 'r.db'}") as runtime:
            run = await runtime.create_run("t", "graph", input={"path": []})
            await runtime.wait(run.run_id)

    asyncio.run(story())
    assert own.storage["t"]


def test_a_plain_node_may_run_a_graph_with_states_of_its_own(url):
    inner = steps(("inner", lambda _: {"path": ["inner"]})).compile(checkpointer=True)

    def outer(state, config):
        return inner.invoke(state, config)

    async def story():
        async with kept_in(url) as saver:
            graph = steps(("outer", outer)).compile(checkpointer=saver)
            await finish(LangGraphExecutor(graph), FakeRun({"path": []}))
            return {
                found.config["configurable"]["checkpoint_ns"] async for found in saver.alist(None)
            }

    assert asyncio.run(story()) == {"", "outer"}


def test_its_plain_methods_are_not_for_the_event_loop(url):
    async def story():
        async with kept_in(url) as saver:
            await saver.aget_tuple(at("t"))
            with pytest.raises(WrongLoop):
                saver.get_tuple(at("t"))
            return await asyncio.to_thread(lambda: list(saver.list(at("t"))))

    assert asyncio.run(story()) == []


def test_what_many_write_at_once_is_committed_together(tmp_path):
    async def story():
        async with kept_in(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}") as saver:
            kept, groups = saver._kept, []
            write = kept._write
            kept._write = lambda what, work: groups.append(what) or write(what, work)
            await asyncio.gather(
                *(saver.aput(at(f"t{n}"), checkpoint(1), {}, {}) for n in range(100))
            )
            found = [await saver.aget_tuple(at(f"t{n}")) for n in range(100)]
            return len(groups), [each.checkpoint["id"] for each in found]

    groups, found = asyncio.run(story())
    assert groups == 1
    assert found == ["0001"] * 100


def test_one_that_cannot_be_stored_does_not_take_the_others_with_it(url):
    async def story():
        async with kept_in(url) as saver:
            bad = checkpoint(1) | {"id": "a lone \ud800 surrogate"}
            outcomes = await asyncio.gather(
                saver.aput(at("t1"), checkpoint(1), {}, {}),
                saver.aput(at("t2"), bad, {}, {}),
                saver.aput(at("t3"), checkpoint(3), {}, {}),
                return_exceptions=True,
            )
            found = [await saver.aget_tuple(at(f"t{n}")) for n in (1, 2, 3)]
            return outcomes, [each and each.checkpoint["id"] for each in found]

    outcomes, found = asyncio.run(story())
    assert isinstance(outcomes[1], InvalidValue)
    assert found == ["0001", None, "0003"]


def test_what_a_store_that_is_closed_is_given_is_refused(tmp_path):
    async def story():
        async with kept_in(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}") as saver:
            await saver.aput(at("t"), checkpoint(1), {}, {})
        with pytest.raises(StoreUnavailable):
            await saver.aput(at("t"), checkpoint(2), {}, {})

    asyncio.run(story())
