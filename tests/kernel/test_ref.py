"""References: what can be done with an actor from outside."""

import asyncio
import threading

import pykka
import pytest

from callboard.domain.errors import RuntimeBusy, WouldDeadlock
from callboard.kernel import LoopActor, handles
from tests.kernel.support import Clerk, Fail, Hold, Note, on_kernel, settle


@on_kernel
async def test_refs_to_the_same_actor_are_equal_and_hash_alike(kernel):
    one, other = kernel.spawn(Clerk), kernel.spawn(Clerk)
    again = one.actor_inbox.actor.actor_ref

    assert again is not one
    assert (again, hash(again)) == (one, hash(one))
    assert one != other
    assert one != "a ref"


@on_kernel
async def test_a_ref_knows_the_class_and_a_name_that_no_other_actor_has(kernel):
    refs = [kernel.spawn(Clerk) for _ in range(10)]

    assert refs[0].actor_class is Clerk
    assert len({ref.actor_urn for ref in refs}) == 10
    assert refs[0].actor_urn in str(refs[0])
    assert refs[0].actor_urn == refs[0].actor_inbox.actor.actor_urn


@on_kernel
async def test_a_ref_tells_whether_its_actor_lives(kernel):
    ref = kernel.spawn(Clerk)
    assert (ref.is_alive(), ref.actor_stopped.is_set()) == (True, False)

    kernel.kill(ref)

    assert (ref.is_alive(), ref.actor_stopped.is_set()) == (False, True)


@on_kernel
async def test_stop_says_whether_the_actor_was_still_alive(kernel):
    ref = kernel.spawn(Clerk)

    assert await asyncio.to_thread(ref.stop, timeout=5) is True
    assert await asyncio.to_thread(ref.stop, timeout=5) is False


@on_kernel
async def test_two_stops_in_the_mailbox_both_come_true(kernel):
    ref = kernel.spawn(Clerk)
    stops = ref.stop(block=False), ref.stop(block=False)

    assert [await stop for stop in stops] == [True, True]


@on_kernel
async def test_an_actor_can_stop_itself_after_what_is_already_in_its_mailbox(kernel):
    class Tired(Clerk):
        @handles(Note)
        def note(self, message):
            self.stop()
            return super().note(message)

    ref = kernel.spawn(Tired)
    answers = [ref.request(Note(n)) for n in range(2)]

    assert [await answer for answer in answers] == [1, 2]
    assert not ref.is_alive()


@on_kernel
async def test_what_follows_a_stop_in_the_mailbox_gets_an_error(kernel):
    ref = kernel.spawn(Clerk)
    before, stop, after = ref.request(Note()), ref.stop(block=False), ref.request(Note())

    assert await before == 1
    assert await stop is True
    with pytest.raises(pykka.ActorDeadError, match="before handling"):
        await after


@on_kernel
async def test_a_stop_waits_for_the_async_handler_under_way(kernel):
    ref = kernel.spawn(Clerk)
    holding, stop = ref.request(Hold("x")), ref.stop(block=False)
    await settle()
    assert not stop.done()

    ref.actor_inbox.actor.gate.set()

    assert (await holding, await stop) == ("x", True)


@on_kernel
async def test_sending_to_a_full_mailbox_is_a_dead_letter_and_telling_it_raises(kernel):
    class Small(Clerk):
        mailbox_capacity = 1

    ref = kernel.spawn(Small)
    for text in ("fits", "too much"):
        ref.send(Note(text))

    assert [letter.message for letter in kernel.dead_letters.recent] == ["Note(text='too much')"]
    with pytest.raises(RuntimeBusy):
        ref.tell(Note())


@on_kernel
async def test_dead_letters_are_all_counted_and_the_last_hundred_kept(kernel):
    ref = kernel.spawn(Clerk)
    kernel.kill(ref)
    for number in range(150):
        ref.send(Note(number))

    assert kernel.dead_letters.count == 150
    assert len(kernel.dead_letters.recent) == 100
    assert kernel.dead_letters.recent[-1].message == "Note(text=149)"
    assert kernel.dead_letters.recent[-1].recipient == repr(ref.actor_inbox)


# Forwarding and taking the reply over.


class Desk(LoopActor):
    """Passes notes on."""

    def __init__(self, target, message=None):
        self.target, self.message = target, message
        self.deferred = []

    @handles(Note)
    def note(self, message):
        self.forward(self.target, self.message or message)
        return "not the desk's to answer"

    @handles(Hold)
    def hold(self, message):
        self.deferred.append(self.defer())


@on_kernel
async def test_an_error_of_the_one_forwarded_to_reaches_the_asker(kernel):
    desk = kernel.spawn(Desk, kernel.spawn(Clerk), Fail())

    with pytest.raises(ValueError, match="kaput"):
        await desk.request(Note())
    assert desk.is_alive()
    assert desk.actor_inbox.actor.target.is_alive()


@on_kernel
async def test_forwarding_to_a_dead_actor_answers_the_asker(kernel):
    target = kernel.spawn(Clerk)
    desk = kernel.spawn(Desk, target)
    kernel.kill(target)

    with pytest.raises(pykka.ActorDeadError, match="Clerk"):
        await desk.request(Note())


@on_kernel
async def test_a_forwarded_reply_does_not_die_with_the_forwarder(kernel):
    target = kernel.spawn(Clerk)
    desk = kernel.spawn(Desk, target, Hold("x"))
    answer = desk.request(Note())
    await settle()
    kernel.kill(desk)
    target.actor_inbox.actor.gate.set()

    assert await answer == "x"


@on_kernel
async def test_a_told_message_is_forwarded_as_one_and_has_no_reply_to_take_over(kernel):
    target = kernel.spawn(Clerk)
    desk = kernel.spawn(Desk, target)
    desk.tell(Note("a"))
    desk.tell(Hold())
    await settle()

    assert target.actor_inbox.actor.notes == ["a"]
    assert desk.actor_inbox.actor.deferred == [None]


@on_kernel
async def test_an_error_after_taking_the_reply_over_is_the_actors_failure(kernel):
    class Careless(LoopActor):
        @handles(Note)
        def note(self, _):
            self.defer()
            raise ValueError("too late")

    ref = kernel.spawn(Careless)

    with pytest.raises(pykka.ActorDeadError):
        await ref.request(Note())
    assert not ref.is_alive()


# Proxies.


@pykka.traversable
class Drawer:
    """A part of an actor."""

    label = "bills"

    def pull(self):
        return "empty"


class Office(LoopActor):
    """Has attributes and methods, and no handler."""

    def __init__(self):
        self.drawer = Drawer()
        self.plants = 1

    def fail(self):
        raise ValueError("kaput")

    async def later(self, value):
        await asyncio.sleep(0)
        return value


@on_kernel
async def test_an_attribute_can_be_set_through_a_proxy_from_another_os_thread(kernel):
    proxy = kernel.spawn(Office).proxy()

    def water():
        proxy.plants = 2
        return proxy.plants.get(timeout=5)

    assert await asyncio.to_thread(water) == 2


@on_kernel
async def test_setting_an_attribute_on_the_actors_own_os_thread_would_deadlock(kernel):
    proxy = kernel.spawn(Office).proxy()

    with pytest.raises(WouldDeadlock):
        proxy.plants = 2
    assert await proxy.plants == 1


@on_kernel
async def test_an_async_method_answers_through_a_proxy_when_it_has_ended(kernel):
    proxy = kernel.spawn(Office).proxy()

    assert await proxy.later("x") == "x"


@on_kernel
async def test_a_proxy_reaches_what_a_traversable_attribute_holds(kernel):
    proxy = kernel.spawn(Office).proxy()

    assert await proxy.drawer.label == "bills"
    assert await proxy.drawer.pull() == "empty"


@on_kernel
async def test_a_failing_call_answers_and_a_failing_deferred_call_stops_the_actor(kernel):
    ref = kernel.spawn(Office)
    proxy = ref.proxy()
    with pytest.raises(ValueError, match="kaput"):
        await proxy.fail()
    assert ref.is_alive()

    proxy.fail.defer()
    await settle()

    assert not ref.is_alive()


@on_kernel
async def test_a_proxy_has_no_attribute_that_its_actor_has_not(kernel):
    proxy = kernel.spawn(Office).proxy()

    with pytest.raises(AttributeError, match="cellar"):
        _ = proxy.cellar


@on_kernel
async def test_there_is_no_proxy_to_a_dead_actor_and_an_old_one_answers_an_error(kernel):
    ref = kernel.spawn(Office)
    proxy = ref.proxy()
    kernel.kill(ref)

    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()
    with pytest.raises(pykka.ActorDeadError):
        await proxy.plants


@on_kernel
async def test_handlers_run_on_the_kernels_os_thread_whoever_asks(kernel):
    class Where(LoopActor):
        @handles(Note)
        def note(self, _):
            return threading.get_ident()

    ref = kernel.spawn(Where)

    assert await asyncio.to_thread(ref.ask, Note(), timeout=5) == threading.get_ident()
