"""The recording half of a run's actor: what is stored, who is told, and how it ends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..domain.enums import CancelAction, RunScope, RunStatus, StopReason
from ..domain.errors import CallboardError, Fenced
from ..kernel import LoopActor, LoopRef, handles
from ..observers import Append, Committed, EndStream, Observed, ObserverGone, Seal, Sealed, ToldUpTo
from ..store.entries import Entry, Verdict
from .book import Phase, RunBook
from .messages import Announce, Release, RunSettled
from .settlement import Ending, end_entry, error_text, last_frames

if TYPE_CHECKING:
    from .wiring import Wiring

START, PROGRESS, END, FORGET = "start", "progress", "end", "forget"
"""What an entry given to the journal was about."""

OVER = frozenset({Phase.SETTLING, Phase.SETTLED})
"""Nothing changes a run's end any more."""


class RecordingActor(LoopActor):
    """Stores what happens to a run. Nothing goes on before it is stored.

    Args:
        wiring: whom to talk to.
        thread: the actor of its thread.
        book: the run.

    """

    def __init__(self, wiring: Wiring, thread: LoopRef[Any], book: RunBook) -> None:
        self._wiring = wiring
        self._thread = thread
        self.book = book
        self._ledger = book.ledger
        self._awaited: dict[str, int] = {}
        """Required observers that have still to be told, and up to which position."""
        self._heard: dict[str, int] = {}
        """How far required observers have been told: one that reads the log may be ahead."""
        self._start_stored = False
        self._end_stored = False
        self._forgotten = False
        """It was rolled back, and its record is erased as it was asked for."""

    def fails_on(self, error: Exception) -> bool:
        """A defect while answering may leave the run half changed."""
        return not isinstance(error, CallboardError)

    def _go_on(self) -> None:
        """Its start is stored, and the required observers know."""
        raise NotImplementedError

    def _end(self, ending: Ending) -> None:
        """Have the run end like this, as soon as no code of its agent executes."""
        raise NotImplementedError

    def _stop_timers(self) -> None:
        """Its end begins."""
        raise NotImplementedError

    def _now(self) -> datetime:
        return self.kernel.clock.now()

    # Its end.

    def _settle(self) -> None:
        """Store the end. From here on nothing changes it."""
        self.book.phase = Phase.SETTLING
        self._stop_timers()
        if self._ledger.request.resumable:
            self._wiring.stream.send(Seal(self._ledger.request.run_id, self.actor_ref))
        else:
            self._commit_end(None)

    @handles(Sealed, system=True)
    def _sealed(self, message: Sealed) -> None:
        self._commit_end(message.latest)

    def _commit_end(self, latest: int | None) -> None:
        book = self.book
        if len(book.history) > 0:
            self._ledger.completion_data = {
                **self._ledger.completion_data,
                "attempts": list(book.history),
            }
        book.settlement = end_entry(self._ledger, book.ending, self._now(), latest)
        self._commit(book.settlement, END)

    def _settled(self) -> None:
        """The end is stored and the required observers know: tell the thread."""
        self.book.phase = Phase.SETTLED
        ledger = self._ledger
        if self._forgotten or ledger.request.scope is RunScope.TEMPORARY_THREAD:
            self._wiring.registry.remember(ledger.snapshot())
        self._thread.send(
            RunSettled(
                ledger.request.run_id,
                ledger.status,
                "interrupts" in ledger.completion_data,
                ledger.sequence,
                forgotten=self._forgotten,
            )
        )

    @handles(Announce, system=True)
    def _announce(self, _: Announce) -> None:
        if self.book.phase is Phase.SETTLED:
            self._settled()

    def _end_stream(self) -> None:
        frames = last_frames(self.book.ending)
        self._wiring.stream.send(EndStream(self._ledger.request.run_id, frames))

    def on_failure(self, *_: object) -> None:
        """Let readers go if the end is stored: nobody may be left to do it."""
        self.book.failed = True
        if self.book.phase is Phase.SETTLED:
            self._end_stream()

    @handles(Release, system=True)
    def _release(self, _: Release) -> None:
        book = self.book
        self._end_stream()
        if book.waiters:
            result = self._ledger.result()
            for waiter in book.waiters:
                waiter.set(result)
        for waiter in book.abort_waiters:
            waiter.set(True)
        self.kernel.kill(self.actor_ref)

    # The journal and the observers.

    def _commit(self, entry: Entry, about: str) -> None:
        self._wiring.journal.send(Append(entry, self.actor_ref, about))

    @handles(Committed, system=True)
    def _committed(self, message: Committed) -> None:
        verdict = message.outcome.verdict
        if verdict is Verdict.FAILED and message.tag == PROGRESS:
            self._not_storable(message.outcome.error)
            return
        # Progress, and what a replaced actor sent again, may have been stored before.
        repeated = message.tag == PROGRESS or self.book.crashes > 0
        if verdict is not Verdict.APPLIED and not (verdict is Verdict.STALE and repeated):
            self._lost(message)
            return
        for observer in message.awaited:
            if self._heard.get(observer, 0) < message.told:
                self._awaited[observer] = message.told
        if message.tag == START:
            self._start_stored = True
        elif message.tag == END:
            self._end_stored = True
        elif message.tag == FORGET:
            self._forgotten = True
        if not self._awaited:
            self._observers_know()

    @handles(Observed, system=True)
    def _observed(self, message: Observed) -> None:
        if message.error is not None and self.book.phase not in OVER:
            error = error_text(message.error)
            if self.book.ending is None:
                self._end(Ending(error=error, reason=StopReason.OBSERVER_FAILED))
        self._has_heard(message.observer, message.event.position)

    @handles(ToldUpTo, system=True)
    def _told_up_to(self, message: ToldUpTo) -> None:
        self._has_heard(message.observer, message.position)

    def _has_heard(self, observer: str, position: int) -> None:
        self._heard[observer] = max(position, self._heard.get(observer, 0))
        awaited = self._awaited.get(observer)
        if awaited is not None and position >= awaited:
            self._no_longer_awaited(observer)

    @handles(ObserverGone, system=True)
    def _observer_gone(self, message: ObserverGone) -> None:
        if message.observer in self._awaited:
            self._no_longer_awaited(message.observer)

    def _no_longer_awaited(self, observer: str) -> None:
        del self._awaited[observer]
        if not self._awaited:
            self._observers_know()

    def _observers_know(self) -> None:
        """Nothing stored so far waits for an observer."""
        if self._end_stored:
            if self._is_to_be_forgotten():
                run_id = self._ledger.request.run_id
                self._commit(Entry(self._ledger.fence, erase_run=run_id), FORGET)
            else:
                self._settled()
        elif self._start_stored:
            self._start_stored = False
            self._go_on()

    def _is_to_be_forgotten(self) -> bool:
        ledger = self._ledger
        return (
            not self._forgotten
            and ledger.request.forget_on_rollback
            and ledger.status is RunStatus.INTERRUPTED
            and ledger.action is CancelAction.ROLLBACK
        )

    def _not_storable(self, cause: str | None) -> None:
        """What the agent recorded is gone: the run cannot succeed."""
        if self.book.ending is None and self.book.phase not in OVER:
            self._end(Ending(error=f"What the agent recorded cannot be stored ({cause})."))

    def _lost(self, message: Committed) -> None:
        """Somebody else owns the run now: end this activation of it."""
        book, request = self.book, self._ledger.request
        if book.attempt is not None:
            book.attempt.fence()
        error = Fenced(f"Run '{request.run_id}' is owned elsewhere ({message.outcome.verdict}).")
        for waiter in (*book.waiters, *book.abort_waiters):
            waiter.set_exception(error)
        book.waiters, book.abort_waiters = [], []
        self._settled()
