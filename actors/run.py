"""The run actor: owns one run's abort state, its attempts and its sequence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from ..domain.enums import CancelAction, RunStatus, StopReason
from ..domain.errors import UnknownAgent
from ..domain.policies import CancelPolicy
from ..domain.supervision import RunNode
from ..kernel import LoopRef, handles
from ..observers import (
    ConsumersLeft,
)
from .attempt import UNSET, Attempt, restore_orphan
from .book import Phase, RunBook
from .messages import (
    Abort,
    AttemptAbandoned,
    AttemptEnded,
    AttemptFailed,
    Describe,
    FailRun,
    GraceIsUp,
    Record,
    Recover,
    RestartRun,
    Restored,
    Start,
    TimeIsUp,
    Wait,
)
from .recording import END, OVER, PROGRESS, START, RecordingActor
from .settlement import Ending, error_text

if TYPE_CHECKING:
    from .wiring import Wiring


class _Retry(NamedTuple):
    """The backoff is over."""


class RunActor(RecordingActor):
    """One run, from its admission to its stored end.

    Args:
        wiring: whom to talk to.
        thread: the actor of its thread.
        book: the run.

    """

    supervised = True
    mailbox_capacity = 10_000

    def __init__(self, wiring: Wiring, thread: LoopRef[Any], book: RunBook) -> None:
        super().__init__(wiring, thread, book)
        self._restart: RestartRun | None = None
        """A new attempt was asked for, and the old one has still to unwind."""
        self._timeout: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._backoff: asyncio.TimerHandle | None = None

    def on_stop(self) -> None:
        """Nothing that its agent still does is kept."""
        attempt = self.book.attempt
        if attempt is not None and attempt.executing and not attempt.gate.fenced:
            attempt.fence()

    # Its turn.

    @handles(Start)
    def _start(self, _: Start) -> None:
        if self.book.phase is Phase.QUEUED:
            self.book.phase = Phase.STARTING
            if self._ledger.status is RunStatus.RUNNING:
                entry = self._ledger.restarted("orphaned", 0.0, self._now())
            else:
                entry = self._ledger.started(self._now())
            self._commit(entry, START)

    def _go_on(self) -> None:
        book = self.book
        if book.phase is not Phase.STARTING or book.failed:
            return
        if book.ending is not None:
            self._unwound()
            return
        if self._wiring.registry.handing_over:
            return  # it begins where it is taken up
        book.phase = Phase.EXECUTING
        request = self._ledger.request
        if request.timeout is not None and self._timeout is None:
            self._timeout = self.kernel.after(request.timeout, self.actor_ref, TimeIsUp())
        if self._ledger.attempt > 1:
            book.writer.write("metadata", book.metadata())
        try:
            executor = self._wiring.agents.executor(request.assistant_id)
        except UnknownAgent as error:
            book.ending = Ending(error=f"UnknownAgent: {error}")
            self._settle()
            return
        book.attempt = Attempt(self._wiring, book, executor, self.actor_ref)

    @handles(AttemptEnded)
    def _attempt_ended(self, message: AttemptEnded) -> None:
        attempt = self.book.attempt
        if attempt is None or attempt.number != message.attempt or attempt.gate.closed:
            return
        attempt.close()
        self._disarm_grace()
        if self.book.ending is not None or self._restart is not None:
            self._unwound()
        elif message.output is not None:
            self._ledger.output = message.output.output
            self._ledger.completion_data = message.output.completion_data
            self._settle()
        elif isinstance(message.error, asyncio.CancelledError):
            error = "CancelledError: the agent raised it without having been aborted"
            self.book.ending = Ending(error=error)
            self._settle()
        else:
            self._attempt_failed(message.error or RuntimeError("no output"))

    def _attempt_failed(self, error: BaseException) -> None:
        book, request = self.book, self._ledger.request
        book.phase = Phase.DECIDING
        book.history.append({"attempt": self._ledger.attempt, "error": error_text(error)})
        self._wiring.supervisor.send(
            AttemptFailed(
                request.run_id,
                request.thread_id,
                request.assistant_id,
                self._ledger.attempt,
                error,
                tuple(book.restarts),
            )
        )

    # Ending it early.

    @handles(Abort, system=True)
    def _abort(self, message: Abort) -> bool | None:
        book = self.book
        aborted = book.ending is not None and book.ending.action is not None
        if not aborted and (book.phase in OVER or book.ending is not None):
            return False
        if not aborted:
            self._end(Ending(action=message.action, reason=message.reason))
        elif book.phase not in OVER:
            self._upgrade(message.action)
        reply = self.defer() if message.wait and book.phase is not Phase.SETTLED else None
        if reply is not None:
            book.abort_waiters.append(reply)
        return True

    def _upgrade(self, action: CancelAction) -> None:
        book = self.book
        ending = book.ending
        if ending is not None:
            strongest = CancelPolicy.strongest(ending.action, action)
            book.ending = ending._replace(action=strongest)
            book.abort.request(strongest)

    @handles(ConsumersLeft, system=True)
    def _consumers_left(self, _: ConsumersLeft) -> None:
        if self.book.ending is None and self.book.phase not in OVER:
            self._end(Ending(action=CancelAction.INTERRUPT, reason=StopReason.DISCONNECTED))

    @handles(TimeIsUp, system=True)
    def _time_is_up(self, _: TimeIsUp) -> None:
        if self.book.ending is None and self.book.phase not in OVER:
            seconds = self._ledger.request.timeout
            self._end(Ending(timed_out=True, error=f"The run took longer than {seconds} s."))

    @handles(FailRun, system=True)
    def _fail(self, message: FailRun) -> bool:
        if self.book.ending is not None or self.book.phase in OVER:
            return False
        self._end(Ending(error=message.error, reason=message.reason))
        return True

    def _end(self, ending: Ending) -> None:
        """Have the run end like this, as soon as no code of its agent executes."""
        book = self.book
        book.ending = ending
        self._restart = None
        if self._backoff is not None:
            self._backoff.cancel()
        book.abort.request(ending.action or CancelAction.INTERRUPT)
        match book.phase:
            case Phase.EXECUTING:
                self._unwind()
            case Phase.UNWINDING | Phase.STARTING:
                pass  # what is under way leads on to the end
            case _:
                self._unwound()

    def _unwind(self) -> None:
        attempt = self.book.attempt
        if attempt is None or not attempt.executing:
            return  # its AttemptEnded is in the mailbox
        self.book.phase = Phase.UNWINDING
        attempt.cancel()
        self._arm_grace(attempt.number)

    @handles(GraceIsUp, system=True)
    def _grace_is_up(self, message: GraceIsUp) -> None:
        book, attempt = self.book, self.book.attempt
        if message.attempt != self._ledger.attempt:
            return
        if book.phase is Phase.RESTORING:
            self._restored(Restored(TimeoutError("rollback took longer than the abort grace")))
        elif attempt is not None and book.phase is Phase.UNWINDING and not attempt.gate.closed:
            request = self._ledger.request
            attempt.fence()
            self._wiring.supervisor.send(
                AttemptAbandoned(request.run_id, request.thread_id, attempt.task)
            )
            if book.ending is not None:
                book.ending = book.ending._replace(reason=StopReason.ABANDONED)
            self._unwound()

    def _unwound(self) -> None:
        """No code of the agent executes any more, or what it does goes nowhere."""
        book = self.book
        if book.ending is None:
            self._try_again()
            return
        action = book.ending.action
        if action is None or not CancelPolicy.rolls_back_checkpoint(action):
            self._settle()
        elif book.attempt is not None and book.captured is not UNSET:
            self._restore()
            book.attempt.restore(book.captured)
        elif book.inherited:
            self._restore()
            executor = self._wiring.agents.executor(self._ledger.request.assistant_id)
            restore_orphan(self._wiring, book, executor, self.actor_ref)
        else:
            self._settle()

    def _restore(self) -> None:
        self.book.phase = Phase.RESTORING
        self._arm_grace(self._ledger.attempt)

    @handles(Restored)
    def _restored(self, message: Restored) -> None:
        book = self.book
        if book.phase is not Phase.RESTORING:
            return
        self._disarm_grace()
        if message.error is not None:
            error = f"The state before the run could not be restored: {message.error!r}"
            book.ending = Ending(error=error, reason=StopReason.ROLLBACK_FAILED)
        self._settle()

    # Trying again.

    @handles(RestartRun, system=True)
    def _restart_run(self, message: RestartRun) -> bool:
        book = self.book
        if book.ending is not None:
            return False
        if book.phase is Phase.EXECUTING:
            self._restart = message
            self._unwind()
        elif book.phase in (Phase.DECIDING, Phase.BACKING_OFF):
            book.restarts.append(self.kernel.now())
            self._restart = message
            self._unwound()
        else:
            return False
        return True

    def _try_again(self) -> None:
        restart = self._restart
        if restart is None:
            return
        self.book.phase = Phase.BACKING_OFF
        if self._backoff is not None:
            self._backoff.cancel()
        self._backoff = self.kernel.after(restart.delay, self.actor_ref, _Retry())

    @handles(_Retry)
    def _retry(self, _: _Retry) -> None:
        restart, self._restart = self._restart, None
        if self.book.phase is Phase.BACKING_OFF and restart is not None:
            self.book.phase = Phase.STARTING
            entry = self._ledger.restarted(restart.cause, restart.delay, self._now())
            self._commit(entry, START)

    # What its agent and others tell and ask.

    @handles(Record)
    def _record(self, message: Record) -> None:
        attempt = self.book.attempt
        if attempt is not None and message.attempt == attempt.number and not attempt.gate.fenced:
            self._ledger.record(message.kind, message.data, self._now())

    def on_turn_end(self) -> None:
        """Store what the agent recorded in this turn, as one entry."""
        if self._ledger.dirty and self.book.phase not in OVER:
            self._commit(self._ledger.progress(self._now()), PROGRESS)

    @handles(Wait)
    def _wait(self, _: Wait) -> Any:
        reply = self.defer()
        if reply is not None:
            self.book.wait(reply)

    @handles(Describe)
    def _describe(self, _: Describe) -> RunNode:
        book, ledger = self.book, self._ledger
        return RunNode(
            run_id=ledger.request.run_id,
            assistant_id=ledger.request.assistant_id,
            status=ledger.status,
            phase=book.phase,
            attempt=ledger.attempt,
            age=(self._now() - ledger.aggregate.created_at).total_seconds(),
            mailbox=len(self.actor_inbox),
            abort=book.abort.action,
            waiters=len(book.waiters),
        )

    # After a crash.

    @handles(Recover, system=True)
    def _recover(self, message: Recover) -> None:
        book, attempt = self.book, self.book.attempt
        book.crashes += 1
        book.failed = False
        if book.settlement is not None:
            book.phase = Phase.SETTLING
            self._commit(book.settlement, END)
            return
        if book.ending is None:
            error = f"The run's actor failed: {message.crash!r}"
            book.ending = Ending(error=error, reason=StopReason.ACTOR_CRASHED)
        book.abort.request(book.ending.action or CancelAction.INTERRUPT)
        if attempt is not None and attempt.executing and not attempt.gate.closed:
            book.phase = Phase.EXECUTING
            self._unwind()
        else:
            self._unwound()

    def _arm_grace(self, attempt: int) -> None:
        self._disarm_grace()
        seconds = self._wiring.settings.abort_grace
        self._grace = self.kernel.after(seconds, self.actor_ref, GraceIsUp(attempt))

    def _stop_timers(self) -> None:
        for timer in (self._timeout, self._grace, self._backoff):
            if timer is not None:
                timer.cancel()

    def _disarm_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
