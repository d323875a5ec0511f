"""A disk that is full for a while, and a writer that holds the file's lock for a while."""

import asyncio
import contextlib
import sqlite3

from callboard import Runtime, StoreUnavailable
from callboard.store.sql import sqlite

from .agents import AGENTS_THAT_END
from .lives import child, url_of


async def statuses(url):
    """All runs of a store and how they ended."""
    async with Runtime(AGENTS_THAT_END, store=url) as runtime:
        ids = {event.run_id for event in await runtime._store.events.read(limit=100_000)}
        return {run_id: (await runtime.get_run(run_id)).status.value for run_id in ids}


def test_on_a_full_disk_new_runs_are_refused_and_what_was_accepted_goes_on_when_there_is_room(
    tmp_path,
):
    path = tmp_path / "runs.db"
    with child("full_disk", path) as process:
        (told,) = process.answer()

    assert len(told["acknowledged"]) > 2
    assert "again" in told["error"]
    assert len(told["statuses"]) == len(told["acknowledged"]) - 1
    assert set(told["ends"]) == {"success"}
    stored = asyncio.run(statuses(url_of(path)))
    assert stored == dict.fromkeys(told["acknowledged"], "success")
    assert told["refused"] not in stored


@contextlib.contextmanager
def lock_held(path):
    """Somebody else is writing."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def _locked_out(path, until):
    """A run ends and others are created while the lock is held; the answers to the creates."""
    entered, gate = asyncio.Event(), asyncio.Event()

    async def gated(run):
        entered.set()
        await gate.wait()

    async with Runtime({**AGENTS_THAT_END, "gated": gated}, store=url_of(path)) as runtime:
        running = await runtime.create_run("running", "gated")
        await entered.wait()
        with lock_held(path):
            gate.set()
            creates = [
                asyncio.ensure_future(
                    runtime.create_run(f"t{number}", "writer", input={"count": 2})
                )
                for number in range(20)
            ]
            done, _ = await asyncio.wait(creates, **until)
            assert all(isinstance(create.exception(), StoreUnavailable) for create in done)
            assert (await runtime.get_run(running.run_id)).status == "running"
        answers = await asyncio.gather(*creates, return_exceptions=True)
        assert (await runtime.wait(running.run_id)).status == "success"
        again = await runtime.create_run("again", "writer", input={"count": 2})
        return running, again, answers


def test_a_lock_held_for_a_moment_delays_and_loses_nothing(tmp_path):
    path = tmp_path / "runs.db"
    running, again, answers = asyncio.run(_locked_out(path, {"timeout": 0.5}))

    accepted = [running, again, *answers]
    assert asyncio.run(statuses(url_of(path))) == {run.run_id: "success" for run in accepted}


def test_a_lock_held_for_long_refuses_new_runs_and_loses_none_that_was_accepted(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sqlite, "BUSY", 0.3)
    path = tmp_path / "runs.db"
    until = {"timeout": 60.0, "return_when": asyncio.FIRST_COMPLETED}
    running, again, answers = asyncio.run(_locked_out(path, until))

    refused = [answer for answer in answers if isinstance(answer, StoreUnavailable)]
    accepted = [running, again, *(answer for answer in answers if answer not in refused)]
    assert refused != []
    assert asyncio.run(statuses(url_of(path))) == {run.run_id: "success" for run in accepted}
