"""The kernel against Pykka's threads and asyncio's queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pykka

from callboard.kernel import Kernel, LoopActor, handles

from .measure import Row, in_turns


class Add(NamedTuple):
    """Add a number; answers the sum."""

    number: int


class LoopSum(LoopActor):
    """Ours."""

    def __init__(self) -> None:
        self.total = 0

    @handles(Add)
    def _add(self, message: Add) -> int:
        self.total += message.number
        return self.total


class ThreadSum(pykka.ThreadingActor):
    """The peer."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: Add) -> int:
        """Add."""
        self.total += message.number
        return self.total


async def rows(scale: float) -> AsyncIterator[Row]:
    """The kernel's lines of the table."""
    kernel, rounds = Kernel(), 5
    yield await _spawn(kernel, rounds, int(20_000 * scale))
    for row in await _ask(kernel, rounds, int(20_000 * scale)):
        yield row
    for actors, target in ((1, 18.0), (1000, 45.0)):
        yield await _tell(kernel, rounds, actors, target, int(200_000 * scale))
    kernel.close()


async def _spawn(kernel: Kernel, rounds: int, count: int) -> Row:
    async def ours() -> int:
        for _ in range(count):
            kernel.kill(kernel.spawn(LoopSum))
        return count

    async def peer() -> int:
        for _ in range(max(20, count // 100)):
            ThreadSum.start().stop()
        return max(20, count // 100)

    mine, theirs, ratio = await in_turns(ours, peer, rounds)
    return Row("actor spawn + stop / ThreadingActor", mine, theirs, "1/s", ratio, 40)


async def _ask(kernel: Kernel, rounds: int, count: int) -> list[Row]:
    ref, thread = kernel.spawn(LoopSum), ThreadSum.start()
    there: asyncio.Queue[int] = asyncio.Queue()
    back: asyncio.Queue[int] = asyncio.Queue()

    async def echo() -> None:
        while True:
            await back.put(await there.get())

    echoing = asyncio.create_task(echo())

    async def ours() -> int:
        for number in range(count):
            await ref.request(Add(number))
        return count

    async def queue() -> int:
        for number in range(count):
            await there.put(number)
            await back.get()
        return count

    async def threads() -> int:
        for number in range(count // 10):
            thread.ask(Add(number))
        return count // 10

    mine, theirs, ratio = await in_turns(ours, queue, rounds)
    first = Row(
        "ask round trip, time / asyncio.Queue ping-pong",
        1e6 / mine,
        1e6 / theirs,
        "us",
        1 / ratio,
        -1.5,
    )
    mine, theirs, ratio = await in_turns(ours, threads, rounds)
    echoing.cancel()
    thread.stop()
    return [first, Row("ask round trip / ThreadingActor", mine, theirs, "1/s", ratio, 5)]


async def _tell(kernel: Kernel, rounds: int, actors: int, target: float, count: int) -> Row:
    refs = [kernel.spawn(LoopSum) for _ in range(actors)]
    threads = [ThreadSum.start() for _ in range(actors)]
    message, fewer = Add(1), count if actors == 1 else max(actors, count // 20)

    async def ours() -> int:
        for index in range(count):
            refs[index % actors].tell(message)
            if index % 10_000 == 0:
                await asyncio.sleep(0)
        for ref in refs:
            await ref.request(message)
        return count

    async def peer() -> int:
        for index in range(fewer):
            threads[index % actors].tell(message)
        for ref in threads:
            ref.ask(message)
        return fewer

    mine, theirs, ratio = await in_turns(ours, peer, rounds)
    for thread in threads:
        thread.stop()
    for ref in refs:
        kernel.kill(ref)
    claim = f"tell, {actors:,} actor{'s' if actors > 1 else ''} / ThreadingActor"
    return Row(claim, mine, theirs, "1/s", ratio, target)
