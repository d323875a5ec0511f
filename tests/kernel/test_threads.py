"""Hand-over between OS threads, and futures that are awaited or got anywhere."""

import asyncio
import threading

import pykka
import pytest

from callboard.domain.errors import RuntimeBusy, WouldDeadlock
from callboard.kernel import Kernel, KernelOptions
from tests.kernel.support import Clerk, Fail, Hold, Note, on_kernel, settle


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
