"""A kernel that gives turns by chance, notes every message, and has actors fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ...kernel import Entropy, Kernel, KernelOptions, LoopClock
from ...kernel.mailbox import Envelope, Mailbox
from .choices import Picker
from .trace import Trace
from .turbulence import InjectedFault, Turbulence

_LONGEST_DELAY = 3.0
"""Virtual seconds that an actor is kept from its turn at most."""


class _Turns:
    """Ready actors, of which the picker takes one. Some are kept back for a while.

    What waits in the mailbox of an actor that is kept back arrives late, and in order: so
    messages are delayed without overtaking each other, which callboard's own never do.
    """

    def __init__(self, picker: Picker | None, turbulence: Turbulence) -> None:
        self._picker = picker
        self._turbulence = turbulence
        self._ready: list[Mailbox] = []

    def append(self, mailbox: Mailbox, /) -> None:
        if self._turbulence.strikes("delay"):
            loop = mailbox.kernel.loop
            delay = self._turbulence.choices.between(0.0, _LONGEST_DELAY)
            loop.call_later(delay, self._return, mailbox)
        else:
            self._ready.append(mailbox)

    @staticmethod
    def _return(mailbox: Mailbox) -> None:
        mailbox.scheduled = False
        mailbox.kernel.reschedule(mailbox)

    def popleft(self) -> Mailbox:
        count = len(self._ready)
        return self._ready.pop(self._picker.below(count) if self._picker and count > 1 else 0)

    def __len__(self) -> int:
        return len(self._ready)


class SimulatedKernel(Kernel):
    """One message a turn, one turn a step of the loop.

    Args:
        seed: for ids and jitter.
        picker: decides which actor has its turn; `None`: first come, first served.
        turbulence: decides what goes wrong.
        trace: is told of every message.

    """

    def __init__(
        self, seed: int, picker: Picker | None, turbulence: Turbulence, trace: Trace
    ) -> None:
        loop = asyncio.get_running_loop()
        schedule = _Turns(picker, turbulence)
        super().__init__(
            KernelOptions(
                clock=LoopClock(loop), entropy=Entropy(seed), schedule=schedule, throughput=1
            )
        )
        self._turbulence = turbulence
        self._trace = trace
        self._speaker: Mailbox | None = None
        self.on_crash: Callable[[str, Exception], None] = lambda actor, error: None
        """Called with each actor that fails, and with what."""
        self.turns = 0
        """How many messages were handled."""

    def _drain(self) -> None:
        self._awake = False
        try:
            if self._ready:
                self._turn(self._ready.popleft())
        finally:
            if self._ready and not self._awake:
                self._awake = True
                self.loop.call_soon(self._drain, context=self._context)

    def _turn(self, mailbox: Mailbox) -> None:
        self.turns += 1
        self._speaker = mailbox
        try:
            if not self._fails(mailbox):
                super()._turn(mailbox)
        finally:
            self._speaker = None

    def _fails(self, mailbox: Mailbox) -> bool:
        """Have the actor fail before, or after, it handled a message."""
        if mailbox.actor is None or mailbox.suspended or not mailbox.ready():
            return False
        if self._turbulence.strikes("handler raises"):
            lane = mailbox.system or mailbox.data
            assert lane is not None  # noqa: S101 - it is ready
            envelope = lane.popleft()
            self._say(mailbox, f"fails instead of handling {type(envelope.message).__name__}")
            self._raised(mailbox, envelope, InjectedFault("instead of handling a message"))
        elif self._turbulence.strikes("handler raises after"):
            super()._turn(mailbox)
            if mailbox.stopped or mailbox.suspended:
                return True
            self._say(mailbox, "fails after handling a message")
            self._crash(mailbox, InjectedFault("after handling a message"))
        else:
            return False
        mailbox.scheduled = False
        self.reschedule(mailbox)
        return True

    def _crash(self, mailbox: Mailbox, error: Exception) -> None:
        self.on_crash(name_of(mailbox), error)
        super()._crash(mailbox, error)

    def _say(self, mailbox: Mailbox, what: str) -> None:
        self._trace.say(self.now(), name_of(mailbox), what)

    def _accept(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        if self._trace.wanted:
            self._trace.send(self.now(), self._sender(), name_of(mailbox), envelope.message)
        super()._accept(mailbox, envelope)

    def _sender(self) -> str:
        if self._speaker is not None:
            return name_of(self._speaker)
        task = asyncio.current_task()
        name = "timer" if task is None else task.get_name()
        return "a task" if name.startswith("Task-") else name


def name_of(mailbox: Mailbox) -> str:
    """An actor as people call it."""
    kind = mailbox.actor_class.__name__.removesuffix("Actor").lower()
    return f"{kind} {mailbox.number}"
