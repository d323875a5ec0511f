"""A kernel to test actors on."""

import asyncio
import functools
import inspect
from typing import NamedTuple

from callboard.kernel import Kernel, LoopActor, handles


def on_kernel(test):
    """Run an async test with a kernel of its own, within five seconds."""

    async def hosted(*args, **kwargs):
        kernel = Kernel()
        try:
            await asyncio.wait_for(test(kernel, *args, **kwargs), 5)
        finally:
            kernel.close()

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(hosted(*args, **kwargs))

    signature = inspect.signature(test)
    run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    del run.__wrapped__
    return run


class Note(NamedTuple):
    """Write it down; answers how many there are."""

    text: object = None


class Urgent(NamedTuple):
    """A system message."""

    text: object = None


class Hold(NamedTuple):
    """An async handler that waits for the gate."""

    text: object = None


class Fail(NamedTuple):
    """Raise."""

    error: BaseException = ValueError("kaput")


class Owe(NamedTuple):
    """Take the reply, and give it when told."""


class Clerk(LoopActor):
    """Notes what it handles."""

    greeting = "hello"

    def __init__(self, notes=None):
        self.notes = [] if notes is None else notes
        self.gate = asyncio.Event()
        self.owed = []

    @handles(Note)
    def note(self, message):
        self.notes.append(message.text)
        return len(self.notes)

    @handles(Urgent, system=True)
    def urgent(self, message):
        self.notes.append(("urgent", message.text))

    @handles(Hold)
    async def hold(self, message):
        self.notes.append(("begin", message.text))
        await self.gate.wait()
        self.notes.append(("end", message.text))
        return message.text

    @handles(Fail)
    def fail(self, message):
        raise message.error

    @handles(Owe)
    def owe(self, _):
        self.owed.append(self.defer())

    def double(self, number):
        return number * 2


class Hooked(Clerk):
    """Notes its hooks."""

    def on_start(self):
        self.notes.append("start")

    def on_stop(self):
        self.notes.append("stop")

    def on_failure(self, kind, value, traceback):
        self.notes.append(("failure", kind))


async def settle():
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)
