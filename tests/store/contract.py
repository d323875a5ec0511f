"""What the tests of the store's contract share: stores, rows, events and entries."""

import asyncio
import functools
import inspect
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

from sqlalchemy import text

from callboard.domain import (
    CreateRunCommand,
    EventCategory,
    Fence,
    Fenced,
    RunSnapshot,
    RunStatus,
    slot_of,
)
from callboard.store import Entry, MemoryStore, NewEvent, RunChange, Verdict
from callboard.store.entries import DropState, SaveState
from callboard.store.sql import SqlStore
from callboard.store.sql.schema import metadata

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED = RunStatus
TERMINAL = (SUCCESS, ERROR, TIMEOUT, INTERRUPTED)
LIFECYCLE, MESSAGE, FRAME = EventCategory

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@asynccontextmanager
async def memory_store():
    store = MemoryStore()
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def sqlite_store():
    with TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite+aiosqlite:///{folder}/runs.db", durability="process")
        await store.open()
        try:
            yield store
        finally:
            await store.close()


def postgres_store(url):
    """Makes stores that share one database: each finds it empty."""

    @asynccontextmanager
    async def make():
        store = SqlStore(url)
        await store.open()
        try:
            await store.write("a clean table", _empty)
            yield store
        finally:
            await store.close()

    return make


def _empty(connection):
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
    connection.execute(text("INSERT INTO store_state VALUES (1, 0, 0, 0)"))


STORES = {
    "memory": lambda _: memory_store,
    "sqlite": lambda _: sqlite_store,
    "postgresql": lambda request: postgres_store(
        request.getfixturevalue("postgres").new_database()
    ),
}
"""Every implementation, by name. A new one joins here and passes what is in this folder."""


def contract(test):
    """Give an async test an open store of each kind, as its first argument."""

    @functools.wraps(test)
    def run(make_store, **arguments):
        async def opened():
            async with make_store() as store:
                await test(store, **arguments)

        asyncio.run(opened())

    own = inspect.signature(test)
    rest = list(own.parameters.values())[1:]
    fixture = inspect.Parameter("make_store", inspect.Parameter.KEYWORD_ONLY)
    keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in rest]
    run.__signature__ = own.replace(parameters=[*keywords, fixture])
    del run.__wrapped__  # pytest must not see the coroutine
    return run


def at(minute=0):
    """A moment, so many minutes after noon."""
    return NOON + timedelta(minutes=minute)


def run(run_id="r", thread_id="t", *, minute=0, user=None, key=None, **fields):
    """A new record."""
    request = CreateRunCommand(
        run_id=run_id,
        thread_id=thread_id,
        assistant_id="agent",
        user_id=user,
        idempotency_key=key,
    )
    fields = {"status": PENDING, "created_at": at(minute), "updated_at": at(minute), **fields}
    return RunSnapshot(request=request, **fields)


def move(expected, target, run_id="r", *, minute=1, **fields):
    """A change of status."""
    return RunChange(run_id, expected, target, at(minute), **fields)


def event(number=1, run_id="r", thread_id="t", *, category=LIFECYCLE, kind="run_created", **fields):
    """An event before it is stored; its id says run, category and number."""
    fields = {"content": {"number": number}, "created_at": at(), "sequence": number, **fields}
    return NewEvent(
        event_id=f"{thread_id}/{run_id}/{category}/{number}",
        thread_id=thread_id,
        run_id=run_id,
        category=category,
        event_type=kind,
        **fields,
    )


def message(number=1, run_id="r", thread_id="t", role="human"):
    """A message of the conversation."""
    return event(number, run_id, thread_id, category=MESSAGE, kind=role)


def frame(number=1, run_id="r", thread_id="t"):
    """A frame of a resumable run."""
    return event(number, run_id, thread_id, category=FRAME, kind="values")


async def own(store, *threads):
    """Claim the slots of threads: a function that makes their fences."""
    epoch = await store.claim({slot_of(thread) for thread in threads or ("t",)})
    return lambda thread="t": Fence(slot_of(thread), epoch)


async def commit(store, *entries):
    """Commit one group."""
    answer = store.commit(entries)
    return answer if isinstance(answer, list) else await answer


async def save(store, thread_id, run_id, state, fence):
    """Save a state of a plain agent. Raises `Fenced`."""
    await _checkpoint(store, fence, SaveState(thread_id, run_id, state))


async def drop(store, thread_id, run_id, fence):
    """Drop one. Raises `Fenced`."""
    await _checkpoint(store, fence, DropState(thread_id, run_id))


async def _checkpoint(store, fence, checkpoint):
    (outcome,) = await commit(store, Entry(fence, checkpoint=checkpoint))
    if outcome.verdict is Verdict.FENCED:
        raise Fenced
    assert outcome.verdict is Verdict.APPLIED, outcome.error


async def put(store, *runs):
    """Put records, each of which must be new."""
    for record in runs:
        assert await store.runs.put(record)


async def finish(store, run_id="r", target=SUCCESS, **fields):
    """Bring a pending run to its end."""
    assert await store.runs.update_status(move(PENDING, RUNNING, run_id))
    assert await store.runs.update_status(move(RUNNING, target, run_id, **fields))


def inserted(fence, record, *events):
    return Entry(fence, insert=record, events=events)


def changed(fence, change, *events):
    return Entry(fence, change=change, events=events)


def ids(rows):
    """The run ids of records."""
    return [row.run_id for row in rows]


def numbers(events):
    """The own numbers of events."""
    return [stored.content["number"] for stored in events]
