"""Death watch, suspension, and new incarnations."""

import pykka
import pytest

from callboard.kernel import Crashed, LoopActor, Terminated, handles
from tests.kernel.support import Clerk, Fail, Note, Owe, on_kernel, settle


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
