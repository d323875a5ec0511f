"""Mailboxes: order, lanes, bounds, fairness, memory."""

import asyncio

import pytest

from callboard.domain.errors import RuntimeBusy
from callboard.kernel import Kernel, KernelOptions, LoopActor, handles
from callboard.kernel.mailbox import Envelope
from tests.kernel.support import Clerk, Hold, Note, Urgent, on_kernel, settle


@on_kernel
async def test_messages_of_one_sender_are_handled_in_order(kernel):
    ref = kernel.spawn(Clerk)
    for number in range(1000):
        ref.tell(Note(number))
    await ref.request(Note("last"))

    assert ref.actor_inbox.actor.notes == [*range(1000), "last"]


@on_kernel
async def test_an_async_handler_never_interleaves_with_the_next_message(kernel):
    ref = kernel.spawn(Clerk)
    ref.tell(Hold("a"))
    ref.tell(Hold("b"))
    answer = ref.request(Note("c"))
    await settle()
    ref.actor_inbox.actor.gate.set()
    await answer

    notes = ref.actor_inbox.actor.notes
    assert notes == [("begin", "a"), ("end", "a"), ("begin", "b"), ("end", "b"), "c"]


@on_kernel
async def test_system_messages_overtake_data_messages(kernel):
    ref = kernel.spawn(Clerk)
    ref.tell(Note("data"))
    ref.tell(Urgent("system"))
    await settle()

    assert ref.actor_inbox.actor.notes == [("urgent", "system"), "data"]


@on_kernel
async def test_system_messages_are_handled_while_an_async_handler_waits(kernel):
    ref = kernel.spawn(Clerk)
    ref.tell(Hold("a"))
    ref.tell(Note("after"))
    await settle()
    ref.tell(Urgent("now"))
    await settle()

    assert ref.actor_inbox.actor.notes == [("begin", "a"), ("urgent", "now")]


@on_kernel
async def test_a_paused_actor_handles_system_messages_only_until_it_resumes(kernel):
    ref = kernel.spawn(Clerk)
    actor = ref.actor_inbox.actor
    actor.pause()
    ref.tell(Note("data"))
    ref.tell(Urgent("system"))
    await settle()
    assert actor.notes == [("urgent", "system")]

    actor.resume()
    await settle()

    assert actor.notes == [("urgent", "system"), "data"]


class Small(Clerk):
    """Takes two messages."""

    mailbox_capacity = 2


@on_kernel
async def test_a_full_mailbox_answers_busy_and_takes_nothing(kernel):
    ref = kernel.spawn(Small)
    first = [ref.request(Note(n)) for n in range(2)]
    with pytest.raises(RuntimeBusy, match=r"Small.*2 messages"):
        ref.tell(Note("told"))
    with pytest.raises(RuntimeBusy):
        await ref.request(Note("asked"))

    assert [await answer for answer in first] == [1, 2]
    assert ref.actor_inbox.actor.notes == [0, 1]


@on_kernel
async def test_a_full_mailbox_still_takes_system_messages(kernel):
    ref = kernel.spawn(Small)
    for number in range(2):
        ref.tell(Note(number))
    ref.tell(Urgent("x"))
    await settle()

    assert ref.actor_inbox.actor.notes == [("urgent", "x"), 0, 1]


@on_kernel
async def test_an_idle_mailbox_holds_no_queue(kernel):
    ref = kernel.spawn(Clerk)
    await ref.request(Note())
    ref.tell(Urgent())
    await settle()

    assert (ref.actor_inbox.data, ref.actor_inbox.system) == (None, None)


def test_actors_that_never_run_dry_do_not_starve_the_loop():
    class Endless(LoopActor):
        turns = 0

        @handles(Note)
        def note(self, message):
            self.turns += 1
            self.actor_ref.send(message)

    async def main():
        kernel = Kernel(KernelOptions(turn=0.001))
        refs = [kernel.spawn(Endless) for _ in range(10)]
        for ref in refs:
            ref.tell(Note())
        for _ in range(20):
            await asyncio.sleep(0)
        turns = [ref.actor_inbox.actor.turns for ref in refs]
        kernel.close()
        return turns

    turns = asyncio.run(main())
    assert min(turns) > 0


@on_kernel
async def test_a_batch_is_flushed_once_a_turn(kernel):
    flushed = []

    class Batch(Clerk):
        def on_turn_end(self):
            if self.notes:
                flushed.append(list(self.notes))
                self.notes.clear()

    ref = kernel.spawn(Batch)
    for number in range(5):
        ref.tell(Note(number))
    await settle()

    assert flushed == [[0, 1, 2, 3, 4]]


@on_kernel
async def test_the_kernels_timers_send_messages_and_can_be_cancelled(kernel):
    ref = kernel.spawn(Clerk)
    ref.tell(Hold("timed"))
    kernel.after(0.0, ref, Note("never")).cancel()
    kernel.after(0.001, ref, Note("due"))
    kernel.loop.call_later(0.002, ref.actor_inbox.actor.gate.set)
    await ref.request(Note("last"))

    notes = ref.actor_inbox.actor.notes
    assert [note for note in notes if isinstance(note, str)] == ["last", "due"]


def test_one_actor_that_floods_itself_lets_a_callback_of_the_loop_run():
    class Flood(LoopActor):
        handled = 0

        @handles(Note)
        def note(self, message):
            self.handled += 1
            for _ in range(2 if self.handled < 1000 else 1):
                self.actor_ref.send(message)

    async def main():
        kernel = Kernel(KernelOptions(turn=0.0))
        ref = kernel.spawn(Flood)
        ref.tell(Note())
        called = asyncio.Event()
        kernel.loop.call_later(0, called.set)
        await asyncio.wait_for(called.wait(), 5)
        waiting = len(ref.actor_inbox)
        kernel.close()
        return waiting

    assert asyncio.run(main()) > 0


@on_kernel
async def test_a_full_mailbox_takes_messages_again_when_some_were_handled(kernel):
    ref = kernel.spawn(Small)
    for number in range(2):
        ref.tell(Note(number))
    await settle()
    ref.tell(Note(2))
    await settle()

    assert ref.actor_inbox.actor.notes == [0, 1, 2]


@on_kernel
async def test_a_sync_handler_does_not_run_between_the_steps_of_an_async_one(kernel):
    class Stepping(Clerk):
        @handles(Hold)
        async def hold(self, message):
            for step in range(3):
                self.notes.append((message.text, step))
                await asyncio.sleep(0)

    ref = kernel.spawn(Stepping)
    for message in (Hold("a"), Note("sync"), Hold("b")):
        ref.tell(message)
    await ref.request(Note("last"))

    steps = [*[("a", n) for n in range(3)], "sync", *[("b", n) for n in range(3)], "last"]
    assert ref.actor_inbox.actor.notes == steps


@on_kernel
async def test_an_async_handler_of_one_actor_holds_up_no_other(kernel):
    waiting, free = kernel.spawn(Clerk), kernel.spawn(Clerk)
    waiting.tell(Hold())
    await settle()

    assert await free.request(Note()) == 1


@on_kernel
async def test_pausing_in_an_async_handler_outlasts_it(kernel):
    class Closing(Clerk):
        @handles(Hold)
        async def hold(self, message):
            self.pause()
            await asyncio.sleep(0)

    ref = kernel.spawn(Closing)
    ref.tell(Hold())
    answer = ref.request(Note())
    await settle()
    assert not answer.done()

    ref.actor_inbox.actor.resume()

    assert await answer == 1


@on_kernel
async def test_resuming_during_an_async_handler_does_not_let_the_next_message_in(kernel):
    ref = kernel.spawn(Clerk)
    actor = ref.actor_inbox.actor
    ref.tell(Hold("a"))
    answer = ref.request(Note("b"))
    await settle()
    actor.pause()
    actor.resume()
    await settle()
    assert actor.notes == [("begin", "a")]

    actor.gate.set()

    assert await answer == 3


@on_kernel
async def test_a_mailbox_shows_what_waits_system_lane_first(kernel):
    mailbox = kernel.spawn(Clerk).actor_inbox
    assert mailbox.empty()
    for message in (Note("data"), Urgent("system")):
        mailbox.put(Envelope(message))

    assert (len(mailbox), mailbox.empty()) == (2, False)
    assert mailbox.messages() == [Urgent("system"), Note("data")]
    assert [mailbox.get().message for _ in range(2)] == [Urgent("system"), Note("data")]
    with pytest.raises(IndexError, match="empty"):
        mailbox.get()


@on_kernel
async def test_a_timer_for_an_actor_that_has_stopped_is_a_dead_letter(kernel):
    ref, other = kernel.spawn(Clerk), kernel.spawn(Clerk)
    kernel.kill(ref)
    other.tell(Hold())
    kernel.after(0.0, ref, Note("due"))
    kernel.loop.call_later(0.0, other.actor_inbox.actor.gate.set)
    await other.request(Note())

    assert [letter.message for letter in kernel.dead_letters.recent] == ["Note(text='due')"]
