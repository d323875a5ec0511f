"""Death watch, suspension, and new incarnations."""

import asyncio

import pykka
import pytest

from callboard.kernel import Crashed, LoopActor, Terminated, handles
from tests.kernel.support import Clerk, Fail, Hold, Note, Owe, Urgent, on_kernel, settle


class Watcher(LoopActor):
    """Notes the deaths and crashes it hears of."""

    def __init__(self):
        self.heard = []

    @handles(Terminated, system=True)
    def terminated(self, message):
        self.heard.append(message)

    @handles(Crashed, system=True)
    def crashed(self, message):
        self.heard.append(message)


class Child(Clerk):
    """A supervised clerk."""

    supervised = True


@on_kernel
async def test_a_watcher_hears_that_an_actor_stopped_and_why(kernel):
    watcher, stopped, failed = kernel.spawn(Watcher), kernel.spawn(Clerk), kernel.spawn(Clerk)
    actor = watcher.actor_inbox.actor
    kernel.watch(actor, stopped)
    kernel.watch(actor, failed)
    kernel.kill(stopped)
    failed.tell(Fail())
    await settle()

    assert [message.ref for message in actor.heard] == [stopped, failed]
    assert actor.heard[0].cause is None
    assert isinstance(actor.heard[1].cause, ValueError)


@on_kernel
async def test_watching_the_dead_is_answered_at_once_and_unwatching_is_heard(kernel):
    watcher, dead, living = kernel.spawn(Watcher), kernel.spawn(Clerk), kernel.spawn(Clerk)
    actor = watcher.actor_inbox.actor
    kernel.kill(dead)
    kernel.watch(actor, dead)
    kernel.watch(actor, living)
    kernel.unwatch(actor, living)
    kernel.kill(living)
    await settle()

    assert [message.ref for message in actor.heard] == [dead]


@on_kernel
async def test_a_supervised_actor_that_fails_is_suspended_and_its_parent_told(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    child.tell(Fail())
    waiting = child.request(Note("later"))
    await settle()

    assert isinstance(parent.heard[0], Crashed)
    assert child.is_alive()
    assert not waiting.done()


@on_kernel
async def test_a_new_incarnation_handles_what_waited_and_refs_stay_good(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    child.tell(Fail())
    waiting = [child.request(Note(n)) for n in range(3)]
    await settle()
    notes = ["fresh"]
    kernel.revive(child, notes)

    assert [await answer for answer in waiting] == [2, 3, 4]
    assert notes == ["fresh", 0, 1, 2]


@on_kernel
async def test_replies_owed_before_a_crash_are_owed_by_the_new_incarnation(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    owed = child.request(Owe())
    await settle()
    child.tell(Fail())
    await settle()
    kernel.revive(child)
    await settle()
    assert not owed.done()

    child.actor_inbox.actor.disown(RuntimeError("unknown"))

    with pytest.raises(RuntimeError, match="unknown"):
        await owed


@on_kernel
async def test_a_suspended_actor_that_is_killed_answers_everybody(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    owed = child.request(Owe())
    await settle()
    child.tell(Fail())
    waiting = child.request(Note())
    await settle()
    kernel.kill(child)

    for answer in (owed, waiting):
        with pytest.raises(pykka.ActorDeadError):
            await answer


@on_kernel
async def test_an_error_that_answers_an_ask_can_be_the_actors_failure_too(kernel):
    class Strict(Child):
        def fails_on(self, error):
            return isinstance(error, KeyError)

    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Strict, parent=parent)
    with pytest.raises(ValueError, match="kaput"):
        await child.request(Fail())
    assert parent.heard == []
    with pytest.raises(KeyError):
        await child.request(Fail(KeyError("defect")))
    await settle()

    assert isinstance(parent.heard[0].cause, KeyError)


@on_kernel
async def test_the_registry_forgets_the_dead(kernel):
    before = len(kernel)
    refs = [kernel.spawn(Clerk) for _ in range(100)]
    assert len(kernel) == before + 100
    for ref in refs:
        kernel.kill(ref)

    assert len(kernel) == before


@on_kernel
async def test_watching_twice_is_heard_once(kernel):
    watcher, ref = kernel.spawn(Watcher).actor_inbox.actor, kernel.spawn(Clerk)
    kernel.watch(watcher, ref)
    kernel.watch(watcher, ref)
    kernel.kill(ref, KeyError("why"))
    await settle()

    assert [message.ref for message in watcher.heard] == [ref]
    assert isinstance(watcher.heard[0].cause, KeyError)


@on_kernel
async def test_a_parent_hears_once_that_its_child_stopped_without_and_with_watching(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    children = [kernel.spawn(Clerk, parent=parent) for _ in range(2)]
    kernel.watch(parent, children[1])
    for child in children:
        kernel.kill(child)
    await settle()

    assert [message.ref for message in parent.heard] == children


@on_kernel
async def test_watchers_that_died_or_do_not_listen_are_told_nothing(kernel):
    dead, deaf, ref = kernel.spawn(Watcher), kernel.spawn(Clerk), kernel.spawn(Clerk)
    kernel.watch(dead.actor_inbox.actor, ref)
    kernel.watch(deaf.actor_inbox.actor, ref)
    kernel.kill(dead)
    kernel.kill(ref)
    await settle()

    assert kernel.dead_letters.count == 0
    assert deaf.actor_inbox.empty()


@on_kernel
async def test_a_supervised_actor_whose_parent_is_gone_stops_when_it_fails(kernel):
    parent = kernel.spawn(Watcher)
    orphan = kernel.spawn(Child, parent=parent.actor_inbox.actor)
    kernel.kill(parent)
    orphan.tell(Fail())
    await settle()

    assert not orphan.is_alive()


@on_kernel
async def test_actors_that_wait_for_a_decision_stop_with_the_parent_that_owes_it(kernel):
    parent, watcher = kernel.spawn(Watcher), kernel.spawn(Watcher).actor_inbox.actor
    children = [kernel.spawn(Child, parent=parent.actor_inbox.actor) for _ in range(4)]
    revived, waiting, killed, _healthy = children
    for child in (revived, waiting, killed):
        child.tell(Fail())
    await settle()
    assert kernel.undecided(parent) == [revived, waiting, killed]
    kernel.revive(revived)
    kernel.kill(killed)
    assert kernel.undecided(parent) == [waiting]
    kernel.watch(watcher, waiting)
    kernel.kill(parent)
    await settle()

    assert [child.is_alive() for child in children] == [True, False, False, True]
    assert [message.ref for message in watcher.heard] == [waiting]


@on_kernel
async def test_system_messages_wait_too_while_an_actor_is_suspended(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    child.tell(Fail())
    await settle()
    child.tell(Urgent("x"))
    await settle()
    notes = []
    kernel.revive(child, notes)
    await settle()

    assert notes == [("urgent", "x")]


@on_kernel
async def test_a_new_incarnation_starts_before_it_handles_what_waited(kernel):
    class Starting(Child):
        async def on_start(self):
            await asyncio.sleep(0)
            self.notes.append("start")

    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Starting, parent=parent)
    child.tell(Fail())
    answer = child.request(Note("waited"))
    await settle()
    notes = []
    kernel.revive(child, notes)

    assert await answer == 2
    assert notes == ["start", "waited"]


@on_kernel
async def test_reviving_the_dead_does_nothing(kernel):
    child = kernel.spawn(Child)
    kernel.kill(child)
    kernel.revive(child)

    assert not child.is_alive()
    assert child.actor_inbox.actor is None


@on_kernel
async def test_a_crash_leaves_siblings_and_the_parent_alone(kernel):
    parent = kernel.spawn(Watcher)
    failing, sibling = (kernel.spawn(Child, parent=parent.actor_inbox.actor) for _ in range(2))
    failing.tell(Fail())
    await settle()

    assert parent.is_alive()
    assert await sibling.request(Note()) == 1


@on_kernel
async def test_a_failing_flush_is_the_actors_failure(kernel):
    class Leaky(Child):
        def on_turn_end(self):
            raise OSError("disk full")

    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Leaky, parent=parent)

    assert await child.request(Note()) == 1
    await settle()
    assert isinstance(parent.heard[0].cause, OSError)


class Brittle(Child):
    """Fails in the system lane at once, and in its async handler late."""

    @handles(Urgent, system=True)
    def urgent(self, message):
        raise ValueError("first")

    @handles(Hold)
    async def hold(self, message):
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            raise KeyError("second") from None


@on_kernel
async def test_an_actor_that_fails_while_an_async_handler_waits_leaves_it_no_time(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    holding = child.request(Hold())
    await settle()
    kernel._crash(child.actor_inbox, ValueError("kaput"))
    await settle()

    with pytest.raises(pykka.ActorDeadError):
        await holding


@on_kernel
async def test_what_an_old_incarnation_still_does_does_not_crash_the_new_one(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Brittle, parent=parent)
    late = child.request(Hold())
    await settle()
    child.tell(Urgent())
    await settle()
    kernel.revive(child)
    waiting = child.request(Note())

    with pytest.raises(KeyError):
        await late
    assert await waiting == 1
    assert [type(message.cause) for message in parent.heard] == [ValueError]


@on_kernel
async def test_an_actor_that_is_suspended_does_not_crash_again(kernel):
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Brittle, parent=parent)
    child.tell(Hold())
    await settle()
    child.tell(Urgent())
    await settle()
    child.actor_inbox.actor.gate.set()
    await settle()

    assert [type(message.cause) for message in parent.heard] == [ValueError]


@on_kernel
async def test_a_base_exception_stops_even_a_supervised_actor(kernel):
    kernel.loop.set_exception_handler(lambda *_: None)
    parent = kernel.spawn(Watcher).actor_inbox.actor
    child = kernel.spawn(Child, parent=parent)
    child.tell(Fail(GeneratorExit()))
    await settle()

    assert not child.is_alive()
    assert [type(message) for message in parent.heard] == [Terminated]
