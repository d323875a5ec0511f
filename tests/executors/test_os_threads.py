"""Calls in OS threads that nobody awaits any more are known until they end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from callboard.actors.executors.os_threads import OsThreadCalls


def watched(calls, call):
    async def work():
        calls.watch()
        return await call()

    return asyncio.create_task(work())


def test_a_call_that_is_awaited_to_its_end_is_not_abandoned():
    async def story():
        calls = OsThreadCalls()
        assert await watched(calls, lambda: asyncio.to_thread(int, "7")) == 7
        assert not calls.abandoned

    asyncio.run(story())


def test_a_call_whose_task_was_cancelled_is_abandoned_until_it_ends():
    async def story():
        calls, loop, released = OsThreadCalls(), asyncio.get_running_loop(), threading.Event()
        entered = asyncio.Event()

        def block():
            loop.call_soon_threadsafe(entered.set)
            released.wait(30)

        task = watched(calls, lambda: asyncio.to_thread(block))
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])
        assert len(calls.abandoned) == 1
        released.set()
        await asyncio.wait(calls.abandoned)
        await asyncio.sleep(0)
        assert not calls.abandoned

    asyncio.run(story())


def test_a_call_that_was_cancelled_before_it_began_never_begins():
    async def story():
        calls, loop, began = OsThreadCalls(), asyncio.get_running_loop(), []
        entered, released = asyncio.Event(), threading.Event()

        def block():
            loop.call_soon_threadsafe(entered.set)
            released.wait(30)

        with ThreadPoolExecutor(1) as pool:
            busy = loop.run_in_executor(pool, block)
            await entered.wait()
            task = watched(calls, lambda: loop.run_in_executor(pool, began.append, 1))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert not calls.abandoned
            released.set()
            await busy
        assert began == []

    asyncio.run(story())


def test_a_call_that_raises_does_so_as_ever():
    async def story():
        await watched(OsThreadCalls(), lambda: asyncio.to_thread(int, "x"))

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(story())


def test_who_is_not_watched_finds_the_loop_unchanged():
    async def story():
        calls, loop, released = OsThreadCalls(), asyncio.get_running_loop(), threading.Event()
        assert await watched(calls, lambda: asyncio.to_thread(int, "7")) == 7
        entered = asyncio.Event()

        def block():
            loop.call_soon_threadsafe(entered.set)
            released.wait(30)

        outside = loop.run_in_executor(None, block)
        await entered.wait()
        outside.cancel()
        await asyncio.wait([outside])
        assert not calls.abandoned
        released.set()

    asyncio.run(story())
