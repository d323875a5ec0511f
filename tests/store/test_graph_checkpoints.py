"""The states of graphs in the database: what is kept in memory of them is what is stored."""

import asyncio
import random

import pytest

from callboard.store.graph_checkpoints import GraphCheckpoint, GraphState, GraphWrite
from callboard.store.sql import SqlStore
from callboard.store.sql.graph_cache import Found, LatestStates, Unknown
from tests.durable.house import opened_store

THREADS, NAMESPACES = ("t1", "t2", "t3"), ("", "sub")


def checkpoint(thread_id, namespace, number, run_id=None, size=10):
    return GraphCheckpoint(
        thread_id, namespace, f"{number:04d}", None, run_id, "bytes", b"x" * size
    )


def write(task, place, value):
    return GraphWrite(task, place, f"path {task}", "channel", "bytes", value)


def some_work(chance, kept, step):
    thread_id, namespace = chance.choice(THREADS), chance.choice(NAMESPACES)
    number = max(1, step - chance.choice((0, 0, 0, 1, 5)))
    kind = chance.choice(
        ("save", "save", "write", "write", "find", "find", "thread", "run", "copy")
    )
    if kind == "save":
        run_id = f"r{chance.randrange(4)}"
        size = chance.randrange(2000)
        return kept.save(checkpoint(thread_id, namespace, number, run_id, size))
    if kind == "write":
        writes = [write(f"k{chance.randrange(3)}", place, bytes([step])) for place in (-1, 0, 1)]
        return kept.save_writes(thread_id, namespace, f"{number:04d}", writes)
    if kind == "find":
        return kept.find(thread_id, namespace, chance.choice((None, f"{number:04d}")))
    if kind == "thread" and chance.random() < 0.2:
        return kept.forget_thread(thread_id)
    if kind == "run" and chance.random() < 0.2:
        return kept.forget_runs([f"r{chance.randrange(4)}"])
    if kind == "copy" and chance.random() < 0.2:
        return kept.copy_thread(thread_id, f"new {step}")
    return kept.find(thread_id, namespace)


@pytest.mark.parametrize("capacity", [0, 4000, 2**20])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_remembered_is_what_is_stored(tmp_path, seed, capacity):
    chance = random.Random(seed)

    async def story():
        async with opened_store(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}") as store:
            kept = store.graph_checkpoints
            kept._latest = LatestStates(capacity)
            for step in range(1, 40):
                await asyncio.gather(*(some_work(chance, kept, step) for _ in range(6)))
                for thread_id in THREADS:
                    for namespace in NAMESPACES:
                        stored = (await kept._read_latest(thread_id, namespace)).state
                        assert await kept.find(thread_id, namespace) == stored
            assert kept._latest._size <= capacity

    asyncio.run(story())


def test_what_was_written_while_it_was_read_is_not_overlooked():
    latest = LatestStates(1000_000)
    old, new = checkpoint("t", "", 1), checkpoint("t", "", 2)

    asked = latest.find("t", "")
    latest.saved(new)
    latest.fill(("t", ""), asked, Found(GraphState(old, ()), {}))

    assert isinstance(latest.find("t", ""), Unknown)


def test_the_latest_of_threads_that_were_not_used_for_long_are_let_go():
    latest = LatestStates(5000)
    for number in range(10):
        asked = latest.find(f"t{number}", "")
        latest.fill((f"t{number}", ""), asked, Found(None, {}))
        latest.saved(checkpoint(f"t{number}", "", 1, size=1000))

    assert latest._size <= 5000
    assert list(latest._threads)[-1] == "t9"
    assert "t0" not in latest._threads


def test_a_store_that_is_opened_on_another_loop_writes_on(tmp_path):
    store = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}")
    later = checkpoint("t1", "", 2)

    async def first():
        await store.open()
        store.graph_checkpoints.save(checkpoint("t1", "", 1), soon=False)

    async def second():
        await store.open()
        await asyncio.wait_for(store.graph_checkpoints.save(later, soon=False), 30)
        assert (await store.graph_checkpoints.find("t1", "")).checkpoint == later
        await store.close()

    asyncio.run(first())
    asyncio.run(second())


def test_what_nobody_waits_for_is_written_in_a_moment_or_when_somebody_hurries(tmp_path):
    async def story():
        async with opened_store(f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}") as store:
            kept, written = store.graph_checkpoints, []
            write = kept._write

            async def noted(what, work):
                written.append(what)
                await write(what, work)

            kept._write = noted
            together = [kept.save(checkpoint("t1", "", n), soon=False) for n in (1, 2)]
            assert not written
            await asyncio.gather(*together)
            assert len(written) == 1
            hurried = kept.save(checkpoint("t1", "", 3), soon=False)
            kept.hurry()
            assert kept._later is None
            await hurried
            assert len(written) == 2

    asyncio.run(story())
