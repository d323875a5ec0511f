"""What Pykka promises of actors holds for those on an event loop."""

import asyncio

import pykka
import pytest

from callboard.kernel import Kernel, LoopActor, handles
from tests.kernel.support import Clerk, Fail, Hold, Hooked, Note, Owe, on_kernel, settle


@on_kernel
async def test_ask_answers_what_the_handler_returns(kernel):
    ref = kernel.spawn(Clerk)

    assert await ref.request(Note("a")) == 1
    assert await ref.ask(Note("b"), block=False) == 2


@on_kernel
async def test_an_async_handler_answers_when_it_has_ended(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Hold("x"))
    await settle()
    assert not answer.done()

    ref.actor_inbox.actor.gate.set()

    assert await answer == "x"


@on_kernel
async def test_a_failing_ask_answers_its_caller_and_the_actor_lives(kernel):
    ref = kernel.spawn(Clerk)

    with pytest.raises(ValueError, match="kaput"):
        await ref.request(Fail())
    assert ref.is_alive()
    assert await ref.request(Note()) == 1


@on_kernel
async def test_a_failing_tell_stops_the_actor_and_calls_on_failure_only(kernel):
    notes = []
    ref = kernel.spawn(Hooked, notes)
    ref.tell(Fail())
    await settle()

    assert not ref.is_alive()
    assert notes == ["start", ("failure", ValueError)]


@on_kernel
async def test_on_start_runs_before_the_first_message_and_on_stop_after_the_last(kernel):
    notes = []
    ref = kernel.spawn(Hooked, notes)
    ref.tell(Note("a"))

    assert await ref.stop(block=False) is True
    assert notes == ["start", "a", "stop"]


@on_kernel
async def test_an_async_on_start_ends_before_the_first_message(kernel):
    class Slow(Clerk):
        async def on_start(self):
            await asyncio.sleep(0)
            self.notes.append("started")

    ref = kernel.spawn(Slow)
    await ref.request(Note("a"))

    assert ref.actor_inbox.actor.notes == ["started", "a"]


@on_kernel
async def test_an_actor_whose_on_start_raises_stops(kernel):
    class Broken(Clerk):
        def on_start(self):
            raise RuntimeError("no start")

    ref = kernel.spawn(Broken)
    with pytest.raises(pykka.ActorDeadError):
        await ref.request(Note())


@on_kernel
async def test_telling_a_dead_actor_raises_and_asking_it_answers_an_error(kernel):
    ref = kernel.spawn(Clerk)
    kernel.kill(ref)

    with pytest.raises(pykka.ActorDeadError):
        ref.tell(Note())
    with pytest.raises(pykka.ActorDeadError):
        await ref.request(Note())
    assert await ref.stop(block=False) is False


@on_kernel
async def test_messages_left_in_the_mailbox_when_an_actor_stops_are_answered(kernel):
    ref = kernel.spawn(Clerk)
    asked = [ref.request(Note(n)) for n in range(3)]
    ref.tell(Note("told"))
    kernel.kill(ref)

    for answer in asked:
        with pytest.raises(pykka.ActorDeadError):
            await answer
    assert kernel.dead_letters.count == 1
    assert "told" in kernel.dead_letters.recent[0].message


@on_kernel
async def test_what_is_sent_to_a_stopped_actor_is_a_dead_letter(kernel):
    ref = kernel.spawn(Clerk)
    kernel.kill(ref)
    ref.send(Note("late"))

    assert kernel.dead_letters.count == 1


@on_kernel
async def test_a_reply_that_was_taken_over_can_be_given_later(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Owe())
    await settle()
    assert not answer.done()

    ref.actor_inbox.actor.owed[0].set("at last")

    assert await answer == "at last"


@on_kernel
async def test_a_reply_that_is_owed_when_the_actor_stops_is_an_error(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Owe())
    await settle()
    kernel.kill(ref)

    with pytest.raises(pykka.ActorDeadError):
        await answer


@on_kernel
async def test_a_stopped_actor_cancels_the_async_handler_under_way_and_answers_it(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Hold("x"))
    await settle()
    kernel.kill(ref)

    with pytest.raises(pykka.ActorDeadError):
        await answer


@on_kernel
async def test_an_unknown_message_is_answered_with_nothing_as_in_pykka(kernel):
    ref = kernel.spawn(Clerk)

    assert await ref.request("what") is None


@on_kernel
async def test_proxies_read_attributes_and_call_methods(kernel):
    proxy = kernel.spawn(Clerk).proxy()

    assert await proxy.greeting == "hello"
    assert await proxy.double(21) == 42
    proxy.note.defer(Note("deferred"))
    assert await proxy.notes == ["deferred"]


@on_kernel
async def test_forwarding_lets_another_actor_answer(kernel):
    other = kernel.spawn(Clerk)

    class Desk(LoopActor):
        @handles(Note)
        def note(self, message):
            self.forward(other, message)

    assert await kernel.spawn(Desk).request(Note("x")) == 1


@on_kernel
async def test_an_actor_is_not_made_by_calling_its_class(kernel):
    class Plain(LoopActor):
        """Has no constructor of its own."""

    with pytest.raises(TypeError, match=r"kernel\.spawn"):
        Plain()


def test_start_needs_a_kernel():
    with pytest.raises(RuntimeError, match=r"kernel\.spawn"):
        Clerk.start()


@on_kernel
async def test_start_works_inside_an_actor(kernel):
    class Parent(LoopActor):
        @handles(Note)
        async def note(self, message):
            return await Clerk.start().request(message)

    assert await kernel.spawn(Parent).request(Note()) == 1


@on_kernel
async def test_a_closed_kernel_starts_nothing_and_answers_everybody(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Hold())
    await settle()
    kernel.close()

    with pytest.raises(pykka.ActorDeadError):
        await answer
    with pytest.raises(pykka.ActorDeadError):
        kernel.spawn(Clerk)
    assert len(kernel) == 0


def test_a_system_handler_cannot_be_async():
    with pytest.raises(TypeError, match="make it sync"):

        class Wrong(LoopActor):
            @handles(Note, system=True)
            async def note(self, message):
                """Never."""


def test_a_base_exception_in_a_handler_stops_the_actor_and_reaches_the_loop():
    class Exit(BaseException):
        pass

    async def main():
        kernel = Kernel()
        ref = kernel.spawn(Clerk)
        caught = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: caught.append(context))
        ref.tell(Fail(Exit()))
        await settle()
        assert not ref.is_alive()
        kernel.close()
        return caught[0]["exception"]

    assert isinstance(asyncio.run(main()), Exit)


class Exit(BaseException):
    """What no handler is expected to raise."""


class Quitter(LoopActor):
    """Its async handler raises it."""

    @handles(Note)
    async def note(self, message):
        raise Exit


@on_kernel
async def test_a_base_exception_in_a_handler_answers_its_asker_and_stalls_nobody(kernel):
    kernel.loop.set_exception_handler(lambda *_: None)
    others = [kernel.spawn(Clerk) for _ in range(3)]
    failing = kernel.spawn(Clerk).request(Fail(Exit()))
    answers = [other.request(Note()) for other in others]

    with pytest.raises(pykka.ActorDeadError, match="while it handled") as caught:
        await failing
    assert isinstance(caught.value.__cause__, Exit)
    assert [await answer for answer in answers] == [1, 1, 1]


@on_kernel
async def test_a_base_exception_in_an_async_handler_stops_the_actor_and_answers_its_asker(kernel):
    asked, told = kernel.spawn(Quitter), kernel.spawn(Quitter)
    told.tell(Note())

    with pytest.raises(pykka.ActorDeadError, match="while it handled"):
        await asked.request(Note())
    assert (asked.is_alive(), told.is_alive()) == (False, False)


@on_kernel
async def test_a_failing_told_async_handler_stops_the_actor_too(kernel):
    class Late(Hooked):
        @handles(Hold)
        async def hold(self, message):
            await asyncio.sleep(0)
            raise KeyError(message.text)

    notes = []
    ref = kernel.spawn(Late, notes)
    ref.tell(Hold())
    await settle()

    assert not ref.is_alive()
    assert notes == ["start", ("failure", KeyError)]


@on_kernel
async def test_a_failing_asked_async_handler_answers_and_the_actor_goes_on(kernel):
    class Late(Clerk):
        @handles(Hold)
        async def hold(self, message):
            await asyncio.sleep(0)
            raise KeyError(message.text)

    ref = kernel.spawn(Late)
    failing, next_one = ref.request(Hold()), ref.request(Note())

    with pytest.raises(KeyError):
        await failing
    assert await next_one == 1


@on_kernel
async def test_failing_hooks_do_not_keep_an_actor_from_stopping(kernel):
    class Broken(Clerk):
        def on_stop(self):
            raise RuntimeError("on_stop")

        def on_failure(self, *_):
            raise RuntimeError("on_failure")

    stopped, failed = kernel.spawn(Broken), kernel.spawn(Broken)
    failed.tell(Fail())

    assert await stopped.stop(block=False) is True
    assert (stopped.is_alive(), failed.is_alive()) == (False, False)


@on_kernel
async def test_a_subclass_inherits_handlers_and_may_replace_them(kernel):
    class Shouting(Clerk):
        @handles(Note)
        def shout(self, message):
            return message.text.upper()

    ref = kernel.spawn(Shouting)
    ref.actor_inbox.actor.gate.set()

    assert await ref.request(Note("a")) == "A"
    assert await ref.request(Hold("x")) == "x"
    assert await kernel.spawn(Clerk).request(Note("a")) == 1


@on_kernel
async def test_a_message_without_a_handler_goes_to_on_receive(kernel):
    class Reader(LoopActor):
        def on_receive(self, message):
            return f"received {message}"

    assert await kernel.spawn(Reader).request("a letter") == "received a letter"


@on_kernel
async def test_the_registry_of_pykka_is_not_used(kernel):
    kernel.spawn(Clerk)

    assert pykka.ActorRegistry.get_all() == []


@on_kernel
async def test_closing_stops_the_newest_first_and_again_does_nothing(kernel):
    stopped = []

    class Named(LoopActor):
        def __init__(self, name):
            self.name = name

        def on_stop(self):
            stopped.append(self.name)

    for name in "abc":
        kernel.spawn(Named, name)
    kernel.close()
    kernel.close()

    assert stopped == ["c", "b", "a"]


@on_kernel
async def test_closing_cancels_the_tasks_beside_the_actors(kernel):
    ended = []
    task = kernel.run(asyncio.Event().wait(), ended.append, "waiting")
    assert kernel.tasks == 1
    kernel.close()
    await settle()

    assert task.cancelled()
    assert (ended, kernel.tasks) == ([task], 0)
