"""What the tests of the durable store share: a file, agents, and a store that can be cut."""

import asyncio
from contextlib import asynccontextmanager

from callboard import Runtime
from callboard.domain import StoreUnavailable
from callboard.store.sql import SqlStore


def url_of(folder, name="runs.db"):
    return f"sqlite+aiosqlite:///{folder / name}"


async def echo(run):
    """Says what it was given, word by word."""
    run.message("human", run.input)
    for word in run.input.split():
        yield "values", {"word": word}
    run.message("ai", run.input.upper())


async def forever(run):
    """Ends only when it is aborted."""
    await asyncio.Event().wait()


AGENTS = {"echo": echo, "forever": forever}


class CutStore:
    """A store whose commits fail from the n-th on, as if the database had gone away.

    With `lost_answer` the n-th itself is written, and only its answer is lost.
    """

    def __init__(self, store, after, *, lost_answer=False):
        self._store = store
        self._left = after
        self._lost_answer = lost_answer
        self.was_cut = asyncio.Event()

    async def commit(self, group):
        self._left -= 1
        if self._left >= 0:
            return await self._store.commit(group)
        if self._left == -1 and self._lost_answer:
            await self._store.commit(group)
        self.was_cut.set()
        raise StoreUnavailable("a group", "it was cut")

    async def open(self):
        await self._store.open()

    async def claim(self, slots):
        return await self._store.claim(slots)

    async def renew(self):
        return await self._store.renew()

    async def abandoned(self):
        return await self._store.abandoned()

    async def release(self):
        await self._store.release()

    async def close(self):
        await self._store.close()

    @property
    def runs(self):
        return self._store.runs

    @property
    def events(self):
        return self._store.events

    @property
    def threads(self):
        return self._store.threads

    @property
    def checkpoints(self):
        return self._store.checkpoints

    @property
    def lease(self):
        return self._store.lease

    @property
    def heartbeat(self):
        return self._store.heartbeat


@asynccontextmanager
async def dies(runtime):
    """A runtime that ends like a process that is killed: nothing more is told or stored."""
    await runtime.start()
    try:
        yield runtime
    finally:
        house = runtime._house
        house.take_down()
        store = house.wiring.store
        inner = getattr(store, "_store", store)
        await inner._database.close()
        inner._opening.end()


def runtime_on(url, **options):
    return Runtime(options.pop("agents", AGENTS), options.pop("store", url), **options)


def patient(url):
    """A store on a server that goes away for as long as a slow machine needs to restart it."""
    return SqlStore(url, lease=1000.0)


@asynccontextmanager
async def opened_store(url):
    store = SqlStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
