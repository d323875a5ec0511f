"""Prepared queries on OS threads of their own: they answer, fail, end and begin again."""

import asyncio
import sqlite3
import threading

import pytest

from callboard.domain import StoreUnavailable
from callboard.store.sql import SqlStore
from tests.store.contract import put, run

NAME = "callboard reads runs.db"


@pytest.fixture
def url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}"


def threads():
    return [each for each in threading.enumerate() if each.name == NAME]


def failing(store):
    """Have connections fail. Returns what mends that."""
    reads = store._database.read_threads
    connect = reads._connect

    def fail():
        raise sqlite3.OperationalError("disk I/O error")

    reads._connect = fail
    return lambda: setattr(reads, "_connect", connect)


def test_many_questions_at_once_are_each_answered(url):
    async def story():
        store = SqlStore(url)
        await store.open()
        await put(store, *(run(f"r{number}", f"t{number}") for number in range(50)))
        for _ in range(20):
            found = await asyncio.gather(*(store.runs.get(f"r{n % 60}") for n in range(200)))
            assert [run and run.run_id for run in found] == [
                f"r{n % 60}" if n % 60 < 50 else None for n in range(200)
            ]
        await store.close()

    asyncio.run(story())
    assert threads() == []


def test_who_leaves_before_the_answer_disturbs_nobody(url):
    async def story():
        store = SqlStore(url)
        await store.open()
        await put(store, run("r"))
        asking = [asyncio.ensure_future(store.runs.get("r")) for _ in range(100)]
        await asyncio.sleep(0)
        for each in asking[::2]:
            each.cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert all(answer.run_id == "r" for answer in answers[1::2])
        await store.close()

    asyncio.run(story())


def test_a_question_that_is_tried_again_does_not_open_a_closed_store(url):
    async def story():
        store = SqlStore(url)
        await store.open()
        mend = failing(store)
        asking = asyncio.ensure_future(store.runs.get("r"))
        while not threads():  # noqa: ASYNC110 - nothing tells that an OS thread has begun
            await asyncio.sleep(0)
        await store.close()
        mend()
        with pytest.raises(StoreUnavailable, match="not open"):
            await asking

    asyncio.run(story())
    assert threads() == []


def test_a_store_that_is_opened_again_answers_again_also_on_another_loop(url):
    store = SqlStore(url)

    async def story(name, *, close):
        await store.open()
        await put(store, run(name))
        assert (await store.runs.get(name)).run_id == name
        if close:
            await store.close()

    for number, close in enumerate((True, True, False, True)):
        asyncio.run(story(f"r{number}", close=close))
    assert threads() == []
