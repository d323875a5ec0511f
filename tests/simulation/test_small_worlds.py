"""Everything that can happen in small worlds is tried, and breaks no promise; bugs are found."""

import asyncio

import pytest

from callboard.actors.book import Phase
from callboard.actors.messages import Abort
from callboard.actors.recording import RecordingActor
from callboard.actors.recovery import Recovery
from callboard.actors.run import RunActor
from callboard.actors.thread import ThreadActor
from callboard.testing.exhaustive import (
    STRATEGIES,
    Bound,
    abort,
    creations,
    creations_and_abort,
    explore,
    explore_all,
    replay,
)
from callboard.testing.simulated.state import digest

LONG = 60.0
"""Seconds that no search of these takes."""


def assert_sound(explored, executions):
    assert explored.violations == (), str(explored)
    assert explored.complete
    assert explored.executions > executions


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_creations_and_a_death_break_nothing_in_any_order(strategy):
    assert_sound(explore(creations(strategy, mortal=True), seconds=LONG), executions=150)


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
def test_an_abort_and_a_death_break_nothing_in_any_order(action):
    assert_sound(explore(abort(action, mortal=True), seconds=LONG), executions=150)


def test_two_creations_before_an_observer_break_nothing_in_any_order():
    assert_sound(explore(creations("interrupt", observed=True), seconds=LONG), executions=400)


def test_two_creations_and_an_abort_break_nothing_in_any_order():
    assert_sound(explore(creations_and_abort("reject"), seconds=LONG), executions=1500)


@pytest.mark.parametrize("arrivals", ["early", "late"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_step_that_is_put_off_once_breaks_anything(strategy, arrivals):
    explored = explore(creations_and_abort(strategy), Bound(arrivals, delays=1), LONG)

    assert_sound(explored, executions=10)


def test_no_two_steps_that_are_put_off_break_anything():
    assert_sound(explore(creations_and_abort("interrupt"), Bound("late", 2), LONG), executions=150)


def test_to_end_an_execution_where_another_has_been_loses_no_end():
    joined, plain = explore(abort("rollback")), explore(abort("rollback"), Bound(joins=False))

    assert joined.complete
    assert plain.complete
    assert joined.executions < plain.executions / 4
    assert joined.ends == plain.ends


def test_the_ladder_of_searches_ends_when_the_time_is_up_and_says_what_was_done():
    told = []

    done = explore_all(0.2, told.append)

    assert done == told
    assert "create, create (reject); arrivals any, 0 delays" in str(done[0])


# A checker that finds nothing has proved nothing.


def start_successors_at_once(monkeypatch):
    admit = ThreadActor._admit

    def too_early(self, admission):
        if str(admission.decision) == "cancel_existing":
            self._queue.active = None
        admit(self, admission)

    monkeypatch.setattr(ThreadActor, "_admit", too_early)
    return creations("interrupt"), "one at a time"


def swallow_the_settlement(monkeypatch):
    def settled(self):
        self.book.phase = Phase.SETTLED

    monkeypatch.setattr(RecordingActor, "_settled", settled)
    return creations("enqueue"), "every run ends"


def start_what_was_aborted_meanwhile(monkeypatch):
    go_on = RunActor._go_on

    def regardless(self):
        ending, self.book.ending = self.book.ending, None
        go_on(self)
        self.book.ending = ending

    monkeypatch.setattr(RunActor, "_go_on", regardless)
    return creations_and_abort("enqueue"), "aborted before it began"


def promise_an_abort_that_comes_too_late(monkeypatch):
    heed = RunActor.handlers[Abort]

    def promise(self, message):
        return True if self.book.phase is Phase.SETTLING else heed(self, message)

    monkeypatch.setitem(RunActor.handlers, Abort, promise)
    return abort("interrupt"), "an abort holds"


def forget_the_queue_after_a_death(monkeypatch):
    async def take_up(self, thread_ids):
        return

    monkeypatch.setattr(Recovery, "take_up", take_up)
    return creations("enqueue", mortal=True), "every run ends"


@pytest.mark.parametrize(
    "bug",
    [
        start_successors_at_once,
        swallow_the_settlement,
        start_what_was_aborted_meanwhile,
        promise_an_abort_that_comes_too_late,
        forget_the_queue_after_a_death,
    ],
)
def test_a_planted_bug_is_found_told_and_had_again(monkeypatch, bug):
    world, rule = bug(monkeypatch)

    found = explore(world, seconds=LONG)

    assert rule in [violation.rule for violation in found.violations], str(found)
    assert "Create" in found.trace
    again = replay(found.world, found.bound, found.decisions)
    assert tuple(again.model.violations) == found.violations


# What is compared.


async def waits(first, second):
    await first
    place = "between"
    await second
    return place


def test_the_digest_of_a_coroutine_tells_where_it_stands():
    async def digests():
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(2)]
        task = loop.create_task(waits(*futures))
        seen = []
        for future in futures:
            await asyncio.sleep(0)
            seen.append(digest(task, {id(loop): "loop"}))
            future.set_result(None)
        await task
        return [*seen, digest(task, {id(loop): "loop"})]

    once, again = asyncio.run(digests()), asyncio.run(digests())

    assert once == again
    assert len(set(once)) == 3


def test_the_digest_knows_objects_by_their_parts_and_not_by_their_addresses():
    def made(value):
        thing = type("Thing", (), {"__slots__": ("itself", "value", "__weakref__")})()
        thing.itself, thing.value = [thing], value
        return thing

    assert digest(made("x"), {}) == digest(made("x"), {})
    assert digest(made("x"), {}) != digest(made("y"), {})
