"""Observers and the journal while the store is in trouble: nothing is skipped or piles up."""

import pytest

from callboard import Runtime
from callboard.domain import StoreUnavailable
from callboard.store import MemoryStore
from tests.durable.house import AGENTS
from tests.support import passes, virtual


class TroubledStore(MemoryStore):
    """Fails as it is told to: its log when it is read, or everything that is written."""

    reading = None
    away = False
    probes = 0

    def __init__(self):
        super().__init__()
        log = self.events
        read, save = log.read, log.save_cursor

        async def reads(**options):
            if self.reading is not None:
                raise self.reading
            return await read(**options)

        async def saves(name, position):
            if self.away:
                self.probes += 1
                raise StoreUnavailable("a cursor", "it is away")
            await save(name, position)

        log.read, log.save_cursor = reads, saves

    def commit(self, group):
        if self.away:
            raise StoreUnavailable("a group", "it is away")
        return super().commit(group)


@virtual
async def test_an_observer_that_was_suspended_is_told_what_it_missed_by_the_next_process():
    store, told = TroubledStore(), []
    store.reading = KeyError("a defect")
    async with Runtime(AGENTS, store) as runtime:
        runtime.observe(told.append, name="audit", replay=True)
        await passes(60)
        assert not (await runtime.supervisor.health()).ok
        store.reading = None
        await runtime.create_and_wait("t", "echo", input="a")
        await passes(10)
    assert told == []

    async with Runtime(AGENTS, store) as runtime:
        runtime.observe(told.append, name="audit", replay=True)
        await passes(10)
    assert [event.sequence for event in told] == list(range(1, len(told) + 1))
    assert told[-1].event_type == "thread_status_updated"


@virtual
async def test_an_observer_is_not_suspended_because_the_store_is_away_for_long():
    store, told = TroubledStore(), []
    async with Runtime(AGENTS, store) as runtime:
        await runtime.create_and_wait("t", "echo", input="a")
        store.reading = StoreUnavailable("a query", "it is away")
        runtime.observe(told.append, name="audit", replay=True)
        await passes(300)
        store.reading = None
        await passes(10)

        assert (await runtime.supervisor.health()).ok
        assert [event.sequence for event in told] == list(range(1, len(told) + 1))
        assert told


@virtual
async def test_a_cursor_is_stored_once_a_second_however_often_its_observer_failed():
    store, saved = TroubledStore(), []
    save = store.events.save_cursor

    async def saves(name, position):
        saved.append(position)
        await save(name, position)

    store.events.save_cursor = saves
    store.reading = StoreUnavailable("a query", "it is away")
    async with Runtime(AGENTS, store) as runtime:
        runtime.observe(lambda _: None, name="audit", replay=True)
        await passes(30)
        store.reading = None
        await passes(10)
        for number in range(20):
            await runtime.create_run(f"t{number}", "echo", input="a")
            await passes(0.25)

    assert len(saved) <= 7


@virtual
async def test_a_store_that_is_away_is_probed_no_more_often_for_many_callers():
    store = TroubledStore()
    async with Runtime(AGENTS, store) as runtime:
        store.away = True
        for number in range(50):
            with pytest.raises(StoreUnavailable):
                await runtime.create_run(f"t{number}", "echo", input="a")
        await passes(60)
        assert 10 <= store.probes <= 20
        store.away = False
        await passes(10)
        assert (await runtime.supervisor.health()).ok
