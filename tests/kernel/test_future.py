"""Answers: settled once, combined as in Pykka, and never left hanging."""

import asyncio
import gc
import sys

import pykka
import pytest

from tests.kernel.support import Clerk, Fail, Hold, Note, on_kernel, settle


@on_kernel
async def test_a_future_can_be_awaited_again_and_got_once_it_is_there(kernel):
    future = kernel.future()
    future.set("x")

    assert (await future, await future, future.get()) == ("x", "x", "x")


@on_kernel
async def test_a_future_is_settled_once(kernel):
    future = kernel.future()
    future.set(1)

    with pytest.raises(asyncio.InvalidStateError):
        future.set(2)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_exception(ValueError())
    assert await future == 1


@on_kernel
async def test_a_future_whose_asker_has_gone_ignores_its_answer(kernel):
    given, failed = kernel.future(), kernel.future()
    given.cancel()
    failed.cancel()
    given.set(1)
    failed.set_exception(ValueError("kaput"))

    assert given.cancelled()
    assert failed.cancelled()


@on_kernel
async def test_a_future_takes_an_exception_its_triple_or_the_one_being_handled(kernel):
    futures = [kernel.future() for _ in range(3)]
    futures[0].set_exception(ValueError("kaput"))
    try:
        raise ValueError("kaput")
    except ValueError:
        futures[1].set_exception(sys.exc_info())
        futures[2].set_exception()

    for future in futures:
        with pytest.raises(ValueError, match="kaput"):
            await future


@on_kernel
async def test_what_is_no_exception_is_refused(kernel):
    future = kernel.future()

    with pytest.raises(TypeError, match="no exception"):
        future.set_exception("kaput")
    assert not future.done()


@on_kernel
async def test_a_stop_iteration_travels_as_the_cause_of_a_runtime_error(kernel):
    ref = kernel.spawn(Clerk)

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await ref.request(Fail(StopIteration(1)))
    assert isinstance(caught.value.__cause__, StopIteration)


@on_kernel
async def test_an_error_that_nobody_looks_at_is_not_reported_by_the_loop(kernel):
    reported = []
    kernel.loop.set_exception_handler(lambda _, context: reported.append(context))
    kernel.spawn(Clerk).request(Fail())
    await settle()
    gc.collect()

    assert reported == []


@on_kernel
async def test_a_future_can_be_settled_from_another_os_thread(kernel):
    given, failed = kernel.future(), kernel.future()
    await asyncio.to_thread(given.set, "x")
    await asyncio.to_thread(failed.set_exception, ValueError("kaput"))

    assert await given == "x"
    with pytest.raises(ValueError, match="kaput"):
        await failed


@on_kernel
async def test_a_get_hook_makes_the_value_as_in_pykka(kernel):
    future = kernel.future()
    future.set_get_hook(lambda timeout: ("made", timeout))

    assert future.get(timeout=3) == ("made", 3)
    assert await future == ("made", None)


# Combined as in Pykka.


@on_kernel
async def test_map_applies_to_the_whole_value(kernel):
    future = kernel.future()
    length, text = future.map(len), future.map(len).map(str)
    future.set([10, 20, 30])

    assert (await length, await text) == (3, "3")


@on_kernel
async def test_filter_keeps_the_items_that_match(kernel):
    future = kernel.future()
    even = future.filter(lambda item: item % 2 == 0)
    future.set([1, 2, 3, 4])

    assert await even == [2, 4]


@on_kernel
async def test_join_keeps_the_order_of_the_futures_not_of_the_answers(kernel):
    futures = [kernel.future() for _ in range(3)]
    joined = futures[0].join(*futures[1:])
    for number in (2, 0, 1):
        assert not joined.done()
        futures[number].set(number)

    assert await joined == [0, 1, 2]


@on_kernel
async def test_reduce_folds_from_an_initial_value_if_there_is_one(kernel):
    future, empty = kernel.future(), kernel.future()
    total, more = future.reduce(lambda a, b: a + b), future.reduce(lambda a, b: a + b, 100)
    none, initial = empty.reduce(max), empty.reduce(max, 7)
    future.set([1, 2, 3])
    empty.set([])

    assert [await each for each in (total, more, initial)] == [6, 106, 7]
    with pytest.raises(TypeError, match="empty"):
        await none


@on_kernel
async def test_an_error_of_a_source_or_of_the_function_is_the_combinations_error(kernel):
    given, failed = kernel.future(), kernel.future()
    combined = [failed.map(str), given.join(failed), given.map(lambda value: value / 0)]
    given.set(1)
    failed.set_exception(ValueError("kaput"))

    for future, error in zip(combined, (ValueError, ValueError, ZeroDivisionError), strict=True):
        with pytest.raises(error):
            await future


@on_kernel
async def test_what_is_made_of_a_cancelled_future_is_cancelled(kernel):
    source, other = kernel.future(), kernel.future()
    mapped, joined = source.map(str), other.join(source)
    source.cancel()
    other.set(1)
    await settle()

    assert (mapped.cancelled(), joined.cancelled()) == (True, True)


@on_kernel
async def test_cancelling_a_combination_leaves_its_source_alone(kernel):
    source = kernel.future()
    source.map(str).cancel()
    source.set(1)
    await settle()

    assert await source == 1


@on_kernel
async def test_answers_of_many_actors_can_be_got_at_once(kernel):
    refs = [kernel.spawn(Clerk, [None] * number) for number in range(3)]

    def ask():
        return pykka.get_all([ref.ask(Note(), block=False) for ref in refs], timeout=5)

    assert await asyncio.to_thread(ask) == [1, 2, 3]


@on_kernel
async def test_combinations_can_be_made_on_another_os_thread(kernel):
    ref = kernel.spawn(Clerk)

    def ask():
        return ref.ask(Note(), block=False).map(lambda count: count * 10).get(timeout=5)

    assert await asyncio.to_thread(ask) == 10


@on_kernel
async def test_an_asker_that_gives_up_does_not_disturb_the_actor(kernel):
    ref = kernel.spawn(Clerk)
    answer = ref.request(Hold("x"))
    await settle()
    answer.cancel()
    ref.actor_inbox.actor.gate.set()

    assert await ref.request(Note()) == 3
    assert kernel.dead_letters.count == 0
