"""The keeper: what a runtime owns, it keeps; what it lost, it knows."""

import asyncio

import pytest

from callboard.domain import RuntimeClosed, StoreOwned, StoreUnavailable
from callboard.domain.identifiers import SLOTS, Slot
from callboard.store import MemoryStore
from tests.support import passes, staged, statuses, virtual

LEASE = 15.0


class LeasedStore(MemoryStore):
    """A store whose claims must be renewed."""

    lease = LEASE
    heartbeat = 1.0

    def __init__(self):
        super().__init__()
        self.lost = frozenset()
        self.free = frozenset()
        self.trouble = None
        self.renewals = 0

    async def renew(self):
        if self.trouble is not None:
            await self.trouble()
        self.renewals += 1
        return await super().renew() - self.lost

    async def abandoned(self):
        return self.free


async def hangs():
    await asyncio.Event().wait()


async def fails():
    raise StoreUnavailable("a lease", "the server is away")


@virtual
async def test_a_lease_that_is_renewed_is_kept_for_ever():
    store = LeasedStore()
    async with staged(store=store) as (runtime, _):
        await passes(LEASE * 10)

        assert store.renewals == pytest.approx(LEASE * 10, abs=2)
        assert runtime.state == "running"


@pytest.mark.parametrize("trouble", [hangs, fails])
@virtual
async def test_a_lease_that_cannot_be_renewed_in_time_ends_the_runtime_and_its_agents(trouble):
    store = LeasedStore()
    async with staged(store=store) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        store.trouble = trouble
        await passes(LEASE - 2)
        assert runtime.state == "running"
        await passes(4)

        assert runtime.state == "failed"
        assert stage.log[-1] == ("end", run.run_id)
        with pytest.raises(RuntimeClosed, match="lease of 15 seconds"):
            await runtime.create_run("t", "work")
        assert (await store.runs.get(run.run_id)).status == "running", "for its heir to settle"


@virtual
async def test_trouble_that_ends_before_the_lease_does_is_told_and_survived():
    store = LeasedStore()
    async with staged(store=store) as (runtime, _):
        events = runtime.supervisor.subscribe()
        store.trouble = fails
        await passes(LEASE / 2)
        assert not (await runtime.supervisor.health()).ok
        store.trouble = None
        await passes(2)

        assert (await runtime.supervisor.health()).ok
        kinds = [(await anext(events)).type.value for _ in range(2)]
        assert kinds[0] == "store_failed"
        await passes(LEASE * 2)
        assert runtime.state == "running"


@virtual
async def test_a_runtime_that_lost_a_slot_ends_within_a_heartbeat():
    store = LeasedStore()
    async with staged(store=store) as (runtime, stage):
        run = await runtime.create_run("t", "work")
        await stage.until_executing(run)
        store.lost = frozenset({Slot(7)})
        await passes(1.5)

        assert runtime.state == "failed"
        assert stage.log[-1] == ("end", run.run_id)


@virtual
async def test_slots_of_the_dead_are_taken_over_beside_the_beat():
    store = LeasedStore()
    mine, theirs = range(128), frozenset(Slot(slot) for slot in range(128, SLOTS))
    async with staged(store=store, slots=mine) as (runtime, _):
        settling = asyncio.Event()
        unhurried = store.runs.list_unfinished

        async def slowly():
            await settling.wait()
            return await unhurried()

        store.runs.list_unfinished = slowly
        store.free = theirs
        await passes(LEASE * 2)
        assert runtime.state == "running", "the lease is renewed meanwhile"
        settling.set()
        store.free = frozenset()
        await passes(1)

        runs = [await runtime.create_run(f"t{n}", "work") for n in range(20)]
        assert len(runs) == 20


@virtual
async def test_who_comes_second_to_the_slots_of_the_dead_goes_on():
    class Slow(LeasedStore):
        async def claim(self, slots):
            if self.free:
                raise StoreOwned("it", "another was first", "Wait")
            return await super().claim(slots)

    store = Slow()
    async with staged(store=store, slots=range(128)) as (runtime, _):
        store.free = frozenset({Slot(200)})
        await passes(5)

        assert runtime.state == "running"


@virtual
async def test_cancel_many_leaves_the_runs_of_other_processes_alone():
    store = MemoryStore()
    async with staged(store=store) as (runtime, stage):
        runs = [await runtime.create_run(f"t{n}", "work") for n in range(20)]
        for run in runs:
            await stage.until_executing(run)
        for slot in range(128, SLOTS):
            del runtime._house.wiring.epochs[Slot(slot)]

        aborted = await runtime.cancel_many(status="all")
        await passes(1)

        assert 0 < len(aborted) < 20
        ended = [status for status in await statuses(runtime, *runs) if status == "interrupted"]
        assert len(ended) == len(aborted)
