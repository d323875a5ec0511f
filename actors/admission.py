"""The admitting half of a thread's actor: from a command to a stored record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..domain.commands import CreateRunCommand
from ..domain.conflicts import (
    ConflictError,
    IdempotencyConflict,
    QueueFullError,
    ThreadBusy,
    ThreadNotShared,
    ThreadQuarantined,
)
from ..domain.enums import (
    CancelAction,
    LifecycleEventType,
    MultitaskDecision,
    RunScope,
    StopReason,
    ThreadStatus,
)
from ..domain.errors import CallboardError, Fenced, RuntimeClosed, ThreadNotFound
from ..domain.policies import MultitaskPolicy
from ..domain.store_errors import StoreUnavailable
from ..domain.views import RunSnapshot
from ..kernel import LoopActor, LoopFuture, handles, is_being_cancelled
from ..observers import Append, Committed, NotCommitted
from ..store.entries import Outcome, Verdict
from .ledger import Ledger, pending_snapshot
from .messages import Abort, Create, Recorded, WhileIdle, Withdraw
from .queue import TurnQueue

if TYPE_CHECKING:
    from .wiring import Wiring


class Admission(NamedTuple):
    """A run whose record is being stored. Data messages wait for it."""

    command: CreateRunCommand
    reply: LoopFuture[Any] | None
    run: RunSnapshot
    ledger: Ledger
    decision: MultitaskDecision


class AdmittingActor(LoopActor):
    """Decides about new runs, and has them stored before anybody hears of them.

    While a record is being stored, data messages wait: decisions follow one another.

    Args:
        wiring: whom to talk to.
        thread_id: the thread.
        quarantine: why it admits nothing, if so.

    """

    def __init__(self, wiring: Wiring, thread_id: str, quarantine: str | None) -> None:
        self._wiring = wiring
        self._thread_id = thread_id
        self._quarantine = quarantine
        self._fence = wiring.fence(thread_id)
        self._queue = TurnQueue()
        self._owner: str | None = None
        self._known = False
        """Whether a run was ever admitted here."""
        self._temporary: bool | None = None
        """Whether the thread goes with its runs; `None` while there is nothing of it."""
        self._admission: Admission | None = None
        self._looking_up: str | None = None
        """The run of which it is being asked whether it exists already."""
        self._withdrawn: set[str] = set()
        """Runs whose callers have gone, and that are not admitted yet."""
        self.actor_inbox.capacity = wiring.settings.mailbox_capacity

    def fails_on(self, error: Exception) -> bool:
        """A defect while answering may leave the queue half changed."""
        return not isinstance(error, CallboardError)

    def _admit(self, admission: Admission) -> None:
        """The record is stored: from here on the run exists."""
        raise NotImplementedError

    def _admission_over(self) -> None:
        """What was being admitted is a run now, or was refused."""
        raise NotImplementedError

    def _is_admitting(self) -> bool:
        return self._looking_up is not None or self._admission is not None

    @handles(Create)
    def _create(self, message: Create) -> Coroutine[Any, Any, None] | None:
        command = message.command
        self._check_admission(command)
        reply = self.defer()
        if message.chosen or command.idempotency_key is not None:
            return self._create_unless_known(command, reply)
        self._try_admit(command, reply)
        return None

    def _check_admission(self, command: CreateRunCommand) -> None:
        if command.run_id in self._withdrawn:
            self._withdrawn.discard(command.run_id)
            raise RuntimeClosed("no longer asked", "create the run again if it is wanted")
        self._check_user(command.user_id)
        if self._wiring.registry.closing:
            raise RuntimeClosed("closing", "create the run on another runtime")
        if self._quarantine is not None:
            raise ThreadQuarantined(self._thread_id, self._quarantine)

    def _check_user(self, user_id: str | None) -> None:
        if None not in (user_id, self._owner) and user_id != self._owner:
            raise ThreadNotFound(self._thread_id)

    async def _create_unless_known(
        self, command: CreateRunCommand, reply: LoopFuture[Any] | None
    ) -> None:
        """Answer the run that the id or key names already, or admit a new one."""
        self._looking_up = command.run_id
        try:
            known = await self._find(command)
        except CallboardError as error:
            self._looking_up = None
            if reply is not None:
                reply.set_exception(error)
        else:
            self._looking_up = None
            if known is None:
                self._try_admit(command, reply)
            elif reply is not None:
                reply.set(replace(known, reused=True))
        if not self._is_admitting():
            self._admission_over()

    async def _find(self, command: CreateRunCommand) -> RunSnapshot | None:
        runs = self._wiring.store.runs
        known, what, value = await runs.get(command.run_id), "run_id", str(command.run_id)
        if known is None and command.idempotency_key is not None:
            what, value = "idempotency_key", command.idempotency_key
            known = await runs.find_by_key(self._thread_id, value)
        if known is None:
            return None
        if known.thread_id != self._thread_id or known.user_id != command.user_id:
            raise IdempotencyConflict(what, value)
        return known

    def _try_admit(self, command: CreateRunCommand, reply: LoopFuture[Any] | None) -> None:
        try:
            decision = self._decide(command)
        except CallboardError as error:
            if reply is not None:
                reply.set_exception(error)
            return
        at = self.kernel.clock.now()
        run = pending_snapshot(command, at)
        ledger = Ledger(run, 1, self._fence)
        created = ledger.created(run)
        if not self._queue:
            busy = {"status": str(ThreadStatus.BUSY)}
            event = ledger.event(LifecycleEventType.THREAD_STATUS_UPDATED, busy, at)
            created = created._replace(events=(*created.events, event))
        self._admission = Admission(command, reply, run, ledger, decision)
        self.pause()
        self._wiring.journal.send(Append(created, self.actor_ref, run.run_id, refusable=True))

    def _decide(self, command: CreateRunCommand) -> MultitaskDecision:
        if self._temporary not in (None, command.scope is RunScope.TEMPORARY_THREAD):
            raise ThreadNotShared(self._thread_id, "temporary" if self._temporary else "permanent")
        decision = MultitaskPolicy.decide(command.multitask_strategy, len(self._queue))
        if decision is MultitaskDecision.REJECT:
            raise ConflictError(self._thread_id, next(iter(self._queue)))
        limit = self._wiring.settings.max_queued_runs
        if decision is MultitaskDecision.ENQUEUE and self._queue.waiting >= limit:
            raise QueueFullError(self._thread_id, limit)
        return decision

    @handles(Committed, system=True)
    def _committed(self, message: Committed) -> None:
        admission = self._admission
        if admission is None or admission.run.run_id != message.tag:
            return
        self._admission = None
        self.resume()
        if message.outcome.verdict is Verdict.APPLIED:
            self._admit(admission)
        elif admission.reply is not None:
            admission.reply.set_exception(self._refusal(admission, message.outcome))
        self._admission_over()

    def _refusal(self, admission: Admission, outcome: Outcome) -> CallboardError:
        if outcome.verdict is Verdict.DUPLICATE:
            return IdempotencyConflict("run_id", admission.run.run_id)
        if outcome.verdict is Verdict.FENCED:
            return Fenced(f"Thread '{self._thread_id}' is owned by another runtime.")
        return StoreUnavailable(f"run '{admission.run.run_id}'", str(outcome.error))

    @handles(NotCommitted, system=True)
    def _not_committed(self, message: NotCommitted) -> None:
        admission = self._admission
        if admission is not None and admission.run.run_id == message.tag:
            self._admission = None
            self.resume()
            if admission.reply is not None:
                admission.reply.set_exception(message.error)
            self._admission_over()

    @handles(Recorded, system=True)
    def _recorded(self, message: Recorded) -> None:
        if not self._known:
            self._known, self._owner = True, message.user_id
        if self._temporary is None:
            self._temporary = False

    # What no run may be beside.

    @handles(WhileIdle)
    def _while_idle(self, message: WhileIdle) -> Coroutine[Any, Any, None]:
        self._check_user(message.user_id)
        if self._queue:
            raise ThreadBusy(self._thread_id, next(iter(self._queue)))
        return _carry_out(message.work, self.defer())

    @handles(Withdraw, system=True)
    def _withdraw(self, message: Withdraw) -> None:
        member, run_id = self._queue.get(message.run_id), message.run_id
        if member is not None:
            member.ref.send(Abort(CancelAction.INTERRUPT, StopReason.WITHDRAWN))
        elif self._expects(run_id):
            self._withdrawn.add(run_id)

    def _expects(self, run_id: str) -> bool:
        """Whether a `Create` of this run is under way, or waits."""
        if self._looking_up == run_id:
            return True
        if self._admission is not None and self._admission.run.run_id == run_id:
            return True
        waiting = (m for m in self.actor_inbox.messages() if isinstance(m, Create))
        return any(create.command.run_id == run_id for create in waiting)


async def _carry_out(work: Callable[[], Awaitable[Any]], reply: LoopFuture[Any] | None) -> None:
    """Whatever becomes of it is the asker's: the actor is none the worse for it."""
    if reply is not None and reply.cancelled():
        return  # nobody wants it any more
    try:
        result = await work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if is_being_cancelled(error):
            raise  # it is the actor that is to stop
        if isinstance(error, StopIteration):  # asyncio refuses to carry one
            error = RuntimeError(f"the work raised {error!r}")
        if reply is not None:
            reply.set_exception(error)
    else:
        if reply is not None:
            reply.set(result)
