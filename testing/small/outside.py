"""What comes to a runtime from outside: commands, answers of its store, and agents' progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NamedTuple, cast

from ...actors.context import RunContext
from ...store.entries import Entry, Outcome
from ...store.ports import CheckpointStore, EventLog, RunStore
from ..simulated import Choices, Disk, SimulatedLoop, SimulatedStore, Turbulence
from ..world.agents import Cast

CALM = Turbulence(Choices(0, "calm"), {})
"""Nothing goes wrong that was not decided."""


class Moment(NamedTuple):
    """Something that may come from outside now."""

    what: str
    come: Callable[[], None]


@dataclass(slots=True, eq=False)
class Request:
    """Something the store was asked for: carried out at one moment, answered at another."""

    what: str
    work: Callable[[], Any]
    future: asyncio.Future[Any]
    writes: bool
    done: bool = False
    result: Any = None

    def carry_out(self) -> None:
        """Do it. Whether anybody is told is another matter."""
        self.done, self.result = True, self.work()

    def answer(self) -> None:
        """Tell who asked."""
        if not self.done:
            self.carry_out()
        if not self.future.done():
            self.future.set_result(self.result)


class Outside:
    """Everything that may come from outside, callers first."""

    def __init__(self, loop: SimulatedLoop, known: Mapping[int, str]) -> None:
        self._loop, self._known = loop, known
        self._numbers = count(1)
        self.open = False
        """Whether anything waits for its moment; else the store answers at once."""
        self.callers: dict[str, tuple[int | None, Callable[[], None]]] = {}
        """What each does, and the run that it has to know of."""
        self.agents: dict[str, asyncio.Future[None]] = {}
        self.requests: dict[int, Request] = {}

    def moments(self) -> list[Moment]:
        """What may come now. What was there before has the name that it had."""
        moments = [
            Moment(what, partial(self._call, what))
            for what, (needs, _) in self.callers.items()
            if needs is None or needs in self._known
        ]
        moments += [
            Moment(what, partial(self._go_on, what))
            for what, future in self.agents.items()
            if not future.done()
        ]
        for number, request in self.requests.items():
            # Alone, it makes no difference when it is carried out.
            if len(self.requests) > 1 and not request.done:
                what = f"the store carries out {request.what} ({number})"
                moments.append(Moment(what, request.carry_out))
            what = f"the store answers {request.what} ({number})"
            moments.append(Moment(what, partial(self._answer, number)))
        return moments

    def _call(self, what: str) -> None:
        self.callers.pop(what)[1]()

    def _go_on(self, what: str) -> None:
        self.agents.pop(what).set_result(None)

    def _answer(self, number: int) -> None:
        self.requests.pop(number).answer()

    async def moment(self, what: str) -> None:
        """Wait until an agent is let go on."""
        future = self.agents[what] = self._loop.create_future()
        try:
            await future
        finally:
            self.agents.pop(what, None)

    async def ask(self, what: str, work: Callable[[], Any], *, writes: bool = False) -> Any:
        """Have the store do something, and wait for the answer."""
        if not self.open:
            return work()
        future = self._loop.create_future()
        self.requests[next(self._numbers)] = Request(what, work, future, writes)
        return await future


class _Shelf:
    """One shelf of the memory store, whose answers have moments of their own."""

    def __init__(self, shelf: Any, outside: Outside) -> None:
        self._shelf, self._outside = shelf, outside

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._shelf, name)

        def call(*args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
            return self._outside.ask(name, lambda: _at_once(method(*args, **options)))

        return call


def _at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"{work!r} waits for something")


class OutsideStore(SimulatedStore):
    """The store of one process."""

    def __init__(self, disk: Disk, outside: Outside) -> None:
        super().__init__(disk, CALM)
        self._outside = outside
        self.runs = cast("RunStore", _Shelf(disk.memory.runs, outside))
        self.events = cast("EventLog", _Shelf(disk.memory.events, outside))
        self.checkpoints = cast("CheckpointStore", _Shelf(disk.memory.checkpoints, outside))

    async def commit(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write a group of entries, all of it."""

        def write() -> list[Outcome]:
            return [self._disk.write(entry) for entry in group]

        written: list[Outcome] = await self._outside.ask("a group", write, writes=True)
        return written


class OutsideCast(Cast):
    """Agents that sleep, and unwind, until they are let go on."""

    def __init__(self, tell: Callable[..., None], outside: Outside) -> None:
        super().__init__(tell)
        self._outside = outside

    async def _sleep(self, run: RunContext, seconds: float) -> bool:  # noqa: ARG002
        who = f"the agent of {run.run_id}"
        try:
            await self._outside.moment(f"{who} goes on")
        except asyncio.CancelledError:
            self._tell("unwinds", run.run_id)
            await self._outside.moment(f"{who} has unwound")
            raise
        return True
