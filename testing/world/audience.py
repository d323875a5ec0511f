"""Observers that hold what they are told against the model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple

from ...domain.events import RunLifecycleEvent
from ..life import CLOSING, Life
from ..model import Model
from ..reader import heard
from ..simulated.turbulence import InjectedFault, Turbulence


class _Moment:
    """One step of the loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class _Later(NamedTuple):
    """Something that is done after some seconds. No coroutine: that objects to be dropped."""

    seconds: float
    work: Callable[[], None]

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(self.seconds).__await__()
        self.work()


class Witness:
    """Hears of every event of every run, in order.

    Args:
        model: is told what was heard.
        lasting: it hears everything from the beginning of the log, and after a restart what
            it may have heard already; otherwise only what is stored while it is bound.

    """

    def __init__(self, model: Model, *, lasting: bool) -> None:
        self._model = model
        self._lasting = lasting
        self.heard: dict[str, int] = {}
        """The last event of each run."""
        self._again = False
        """Something may be told twice from now on."""

    def behind(self) -> list[Life]:
        """The runs of which it has more to hear, if it hears everything."""
        runs = self._model.runs.values()
        return [run for run in runs if self.heard.get(run.run_id, 0) != len(run.events)]

    def shaken(self) -> None:
        """An actor failed: what it was just being told, it may be told again."""
        self._again = True

    def restarted(self) -> None:
        """It was bound to another process."""
        self._again = self._lasting
        if not self._lasting:
            self.heard = {}

    def on_event(self, event: RunLifecycleEvent) -> _Moment:
        """Hear of an event, and take a moment."""
        run_id, number = str(event.run_id), event.sequence
        before = self.heard.get(run_id, 0 if self._lasting else number - 1)
        heard(self._model, before, run_id, number, self._again)
        again = number == 1 and run_id in self._model.gone  # another run of that id
        self.heard[run_id] = number if again else max(before, number)
        return _Moment()


class Notary:
    """A required observer, which refuses now and then.

    Args:
        model: is told of the refusal before it is felt.
        turbulence: decides.
        pace: seconds that it takes for an event.

    """

    def __init__(self, model: Model, turbulence: Turbulence, pace: float) -> None:
        self._model = model
        self._turbulence = turbulence
        self._pace = pace

    def on_event(self, event: RunLifecycleEvent) -> Awaitable[None] | None:
        """Hear of an event, or refuse."""
        if self._pace:
            return _Later(self._pace, lambda: self._attest(event))
        self._attest(event)
        return None

    def _attest(self, event: RunLifecycleEvent) -> None:
        run = self._model.runs.get(str(event.run_id))
        if run is not None and event.event_type in CLOSING.values():
            run.attested = True
        if run is not None and not run.asked & {"fault", "death"}:  # orphans do not wait
            early = run.began if event.event_type == "run_started" else run.told_at
            told = event.event_type not in {"run_started", *CLOSING.values()}
            self._model.check("required observers come first", told or not early, run, event)
        if self._turbulence.strikes("observer refuses"):
            self._model.asks(str(event.run_id), "observer")
            raise InjectedFault("the notary refuses")
