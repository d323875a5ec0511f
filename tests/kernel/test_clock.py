"""Time, chance and ids."""

import uuid
from datetime import UTC, datetime, timedelta

from callboard.kernel import Entropy, LoopClock, WallClock
from callboard.kernel import clock as clock_module


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


def test_the_wall_clock_is_aware_and_in_utc():
    assert WallClock().now().utcoffset() == timedelta(0)


def test_a_loop_clock_follows_its_loops_time_from_the_epoch():
    class Loop:
        def time(self):
            return 90.0

    epoch = datetime(2026, 1, 1, tzinfo=UTC)

    assert LoopClock(Loop(), epoch).now() == epoch + timedelta(seconds=90)
    assert LoopClock(Loop()).now().tzinfo is UTC


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


def test_an_id_carries_the_millisecond_it_was_made_in():
    at = datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)

    assert uuid.UUID(Entropy(1).new_id(at)).int >> 80 == int(at.timestamp() * 1000)


def test_chance_stays_within_its_limits():
    entropy = Entropy(1)

    assert all(0 <= entropy.chance() < 1 for _ in range(1000))
    assert {entropy.below(3) for _ in range(1000)} == {0, 1, 2}
