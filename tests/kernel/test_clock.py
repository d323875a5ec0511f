"""Time, chance, ids, and the order of turns."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

from callboard.kernel import Entropy, Kernel, KernelOptions, SeededSchedule, WallClock
from callboard.kernel import clock as clock_module
from tests.kernel.support import Clerk, Note, settle


def test_the_wall_clock_never_goes_back(monkeypatch):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([now, now + timedelta(hours=1), now - timedelta(hours=1), now])

    class Jumping(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(times)

    monkeypatch.setattr(clock_module, "datetime", Jumping)
    clock = WallClock()
    seen = [clock.now() for _ in range(3)]

    assert seen == sorted(seen)


def test_ids_are_uuids_of_version_7_that_sort_by_time():
    entropy, at = Entropy(1), datetime(2026, 1, 1, tzinfo=UTC)
    ids = [entropy.new_id(at + timedelta(milliseconds=n)) for n in range(100)]

    assert ids == sorted(ids)
    assert all(uuid.UUID(each).version == 7 for each in ids)
    assert all(uuid.UUID(each).variant == uuid.RFC_4122 for each in ids)
    assert len({entropy.new_id(at) for _ in range(1000)}) == 1000


def test_the_same_seed_gives_the_same_chance_and_ids():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    first, second = Entropy(7), Entropy(7)

    assert [first.chance(), first.new_id(at)] == [second.chance(), second.new_id(at)]
    assert Entropy().seed != Entropy().seed


def order(seed):
    """In which order twenty actors handle their messages."""

    async def main():
        entropy = Entropy(seed)
        kernel = Kernel(KernelOptions(entropy=entropy, schedule=SeededSchedule(entropy)))
        notes = []
        refs = [kernel.spawn(Clerk, notes) for _ in range(20)]
        for turn in range(3):
            for number, ref in enumerate(refs):
                ref.tell(Note((number, turn)))
        await settle()
        kernel.close()
        return notes

    return asyncio.run(main())


def test_a_seeded_schedule_gives_the_same_order_for_the_same_seed_and_others_for_others():
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(5)}) == 5


def test_a_seeded_schedule_keeps_the_order_within_a_mailbox():
    for number in range(20):
        assert [turn for who, turn in order(3) if who == number] == [0, 1, 2]
