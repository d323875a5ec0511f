"""Hand-over between OS threads, and futures that are awaited or got anywhere."""

import asyncio
import threading

import pykka
import pytest

from callboard.domain.errors import RuntimeBusy, WouldDeadlock
from callboard.kernel import Kernel, KernelOptions
from tests.kernel.support import Clerk, Fail, Hold, Note, Urgent, on_kernel, settle


@on_kernel
async def test_no_message_and_no_wakeup_is_lost_between_os_threads(kernel):
    ref, senders, each = kernel.spawn(Clerk), 8, 5000

    def send(number):
        for index in range(each):
            ref.tell(Note((number, index)))
        return ref.ask(Note("done"), timeout=5)

    await asyncio.gather(*(asyncio.to_thread(send, number) for number in range(senders)))

    notes = [note for note in ref.actor_inbox.actor.notes if note != "done"]
    assert len(notes) == senders * each
    for number in range(senders):
        assert [index for who, index in notes if who == number] == list(range(each))


@on_kernel
async def test_one_wakeup_serves_many_envelopes(kernel):
    ref, wakeups = kernel.spawn(Clerk), []
    original = kernel.loop.call_soon_threadsafe

    def counted(*args, **kwargs):
        wakeups.append(args)
        return original(*args, **kwargs)

    kernel.loop.call_soon_threadsafe = counted
    sender = threading.Thread(target=lambda: [ref.tell(Note(n)) for n in range(100)])
    sender.start()
    sender.join()  # the loop stands still meanwhile
    await settle()

    assert len(ref.actor_inbox.actor.notes) == 100
    assert len(wakeups) == 1


@on_kernel
async def test_get_blocks_another_os_thread_until_the_answer_is_there(kernel):
    ref = kernel.spawn(Clerk)
    asked = threading.Event()

    def ask():
        future = ref.ask(Hold("x"), block=False)
        asked.set()
        return future.get(timeout=5)

    work = asyncio.ensure_future(asyncio.to_thread(ask))
    await asyncio.to_thread(asked.wait, 5)
    await settle()
    ref.actor_inbox.actor.gate.set()

    assert await work == "x"


@on_kernel
async def test_get_raises_what_the_actor_answered_or_that_time_is_up(kernel):
    ref = kernel.spawn(Clerk)

    with pytest.raises(ValueError, match="kaput"):
        await asyncio.to_thread(ref.ask, Fail(), timeout=5)
    with pytest.raises(pykka.Timeout):
        await asyncio.to_thread(ref.ask, Hold(), timeout=0.01)


@on_kernel
async def test_a_blocking_get_on_the_answering_loop_raises_at_once(kernel):
    ref = kernel.spawn(Clerk)
    future = ref.request(Note("asked"))

    with pytest.raises(WouldDeadlock, match="await the future"):
        future.get(timeout=5)
    with pytest.raises(WouldDeadlock):
        ref.ask(Note("never sent"))
    with pytest.raises(WouldDeadlock):
        ref.stop()
    assert await future == 1
    assert future.get() == 1
    assert ref.actor_inbox.actor.notes == ["asked"]


@on_kernel
async def test_a_future_can_be_awaited_on_another_loop(kernel):
    ref = kernel.spawn(Clerk)

    async def elsewhere():
        return await ref.request(Note()), await ref.request(Note())

    assert await asyncio.to_thread(asyncio.run, elsewhere()) == (1, 2)


@on_kernel
async def test_a_reply_to_somebody_who_has_gone_is_dropped(kernel):
    ref = kernel.spawn(Clerk)
    asking = asyncio.ensure_future(ref.request(Hold("x")))
    await settle()
    asking.cancel()
    await settle()
    ref.actor_inbox.actor.gate.set()
    await settle()

    assert ref.is_alive()
    assert await ref.request(Note()) == 3


def test_asking_an_actor_whose_loop_has_closed_says_so():
    async def main():
        return Kernel().spawn(Clerk)

    ref = asyncio.run(main())
    with pytest.raises(pykka.ActorDeadError, match=r"stopped|closed"):
        _in_a_thread(lambda: ref.ask(Note(), timeout=5))


@pytest.mark.leaves_tasks
def test_waiting_for_an_actor_whose_loop_closes_meanwhile_ends():
    ready = threading.Event()
    found = {}

    async def main():
        found["ref"] = Kernel().spawn(Clerk)

        def ask():
            future = found["ref"].ask(Hold(), block=False)
            ready.set()
            try:
                future.get()
            except pykka.ActorDeadError as error:
                found["error"] = error

        found["thread"] = threading.Thread(target=ask)
        found["thread"].start()
        await asyncio.to_thread(ready.wait, 5)
        await settle()

    asyncio.run(main())
    found["thread"].join(5)
    assert not found["thread"].is_alive()
    assert "error" in found


def test_the_inbound_queue_is_bounded():
    async def main():
        kernel = Kernel(KernelOptions(inbound_capacity=10))
        ref = kernel.spawn(Clerk)
        with pytest.raises(RuntimeBusy, match="inbound"):
            _in_a_thread(lambda: [ref.tell(Note(n)) for n in range(11)])
        await settle()
        assert ref.actor_inbox.actor.notes == list(range(10))
        kernel.close()

    asyncio.run(main())


@on_kernel
async def test_wakeups_are_ordered_again_after_each_is_served(kernel):
    ref = kernel.spawn(Clerk)
    for number in range(5):
        _in_a_thread(lambda number=number: ref.tell(Note(number)))
        await settle()

    assert ref.actor_inbox.actor.notes == list(range(5))


@on_kernel
async def test_system_messages_from_other_os_threads_overtake_too(kernel):
    ref = kernel.spawn(Clerk)

    def send():
        ref.tell(Note("data"))
        ref.tell(Urgent("system"))

    _in_a_thread(send)
    await settle()

    assert ref.actor_inbox.actor.notes == [("urgent", "system"), "data"]


@on_kernel
async def test_a_full_mailbox_answers_an_ask_and_drops_a_tell_from_another_os_thread(kernel):
    class Small(Clerk):
        mailbox_capacity = 1

    ref, found = kernel.spawn(Small), []

    def send():
        ref.tell(Note("fits"))
        ref.tell(Note("told"))
        found.append(ref.ask(Note("asked"), block=False))

    _in_a_thread(send)
    with pytest.raises(RuntimeBusy):
        await found[0]
    assert [letter.message for letter in kernel.dead_letters.recent] == ["Note(text='told')"]


@on_kernel
async def test_one_who_gave_up_on_another_loop_does_not_disturb_the_actor(kernel):
    ref, reported = kernel.spawn(Clerk), []
    kernel.loop.set_exception_handler(lambda _, context: reported.append(context))

    async def elsewhere():
        waiting = asyncio.ensure_future(_awaited(ref.request(Hold())))
        await settle()
        waiting.cancel()
        await settle()

    await asyncio.to_thread(asyncio.run, elsewhere())
    ref.actor_inbox.actor.gate.set()

    assert await ref.request(Note()) == 3
    assert reported == []


@pytest.fixture(params=["left open", "closed"])
def ref_to_a_closed_loop(request):
    """A ref to an actor whose loop has closed, its kernel before it or not."""

    async def main():
        kernel = Kernel()
        ref = kernel.spawn(Clerk)
        if request.param == "closed":
            kernel.close()
        return ref

    return asyncio.run(main())


def test_a_closed_loop_answers_each_of_those_who_await_it(ref_to_a_closed_loop):
    def ask():
        for _ in range(3):
            with pytest.raises(pykka.ActorDeadError):
                asyncio.run(_awaited(ref_to_a_closed_loop.request(Note())))

    _in_a_thread(ask)


def test_a_closed_loop_answers_stops_and_combinations(ref_to_a_closed_loop):
    def ask():
        assert ref_to_a_closed_loop.stop() is False
        with pytest.raises(pykka.ActorDeadError):
            ref_to_a_closed_loop.ask(Note(), block=False).map(str).get()

    _in_a_thread(ask)


def test_what_is_sent_to_a_closed_loop_is_each_time_a_dead_letter(ref_to_a_closed_loop):
    ref = ref_to_a_closed_loop
    _in_a_thread(lambda: [ref.send(Note(n)) for n in range(5)])

    assert ref.actor_inbox.kernel.dead_letters.count == 5


def test_os_threads_that_meet_at_a_closed_loop_each_get_their_answer(ref_to_a_closed_loop):
    ref, start, errors = ref_to_a_closed_loop, threading.Barrier(4), []

    def ask():
        start.wait(5)
        for _ in range(200):
            try:
                ref.ask(Note(), timeout=5)
            except BaseException as error:  # noqa: BLE001 - looked at below
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert [type(error) for error in errors] == [pykka.ActorDeadError] * 800


class Unrun:
    """A future of a kernel on a loop that stands still, and somebody waiting for it."""

    def __init__(self, wait):
        self.loop, self.found, registered = asyncio.new_event_loop(), [], threading.Event()
        original = self.loop.call_soon_threadsafe

        async def make():
            return Kernel().future()

        def ordered(*args, **kwargs):
            original(*args, **kwargs)
            registered.set()

        self.future = self.loop.run_until_complete(make())
        self.loop.call_soon_threadsafe = ordered
        self.thread = threading.Thread(target=lambda: self.found.append(wait(self.future)))
        self.thread.start()
        assert registered.wait(5)

    def close(self):
        self.loop.close()
        self.thread.join(5)
        return self.found


def wait_blocking(future):
    return future.get()


def wait_on_a_loop(future):
    return asyncio.run(_awaited(future))


@pytest.mark.parametrize("wait", [wait_blocking, wait_on_a_loop])
def test_an_answer_given_just_before_the_loop_closed_still_arrives(wait):
    unrun = Unrun(wait)
    unrun.future.set("in time")

    assert unrun.close() == ["in time"]


@pytest.mark.parametrize("wait", [wait_blocking, wait_on_a_loop])
def test_a_loop_that_closes_without_an_answer_ends_the_wait(wait):
    def caught(future):
        with pytest.raises(pykka.ActorDeadError, match="has closed"):
            wait(future)
        return "ended"

    assert Unrun(caught).close() == ["ended"]


async def _awaited(future):
    return await future


def _in_a_thread(work):
    """Run work in an OS thread while this one stands still; raise what it raised."""
    raised = []

    def call():
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    if raised:
        raise raised[0]
