"""The thread actor: decides, from its own memory, what every new run means for its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..domain.commands import CreateRunCommand
from ..domain.enums import (
    CancelAction,
    DisconnectMode,
    LifecycleEventType,
    MultitaskDecision,
    RunScope,
    RunStatus,
    StopReason,
    ThreadStatus,
)
from ..domain.errors import (
    ActorCrashed,
    CallboardError,
    ConflictError,
    Fenced,
    IdempotencyConflict,
    QueueFullError,
    RuntimeClosed,
    StoreUnavailable,
    ThreadNotFound,
    ThreadQuarantined,
)
from ..domain.fence import Fence
from ..domain.identifiers import slot_of
from ..domain.policies import MultitaskPolicy
from ..domain.supervision import ThreadNode
from ..domain.views import RunSnapshot
from ..kernel import Crashed, LoopActor, LoopFuture, handles
from ..observers import Append, Committed, EndStream, NotCommitted, Observed, OpenStream
from ..store.ports import Entry, NewEvent, Outcome, Verdict
from .adoption import adopt, live_runs
from .book import RunBook
from .ledger import Ledger, lifecycle_event, pending_snapshot
from .messages import (
    Abort,
    AbortAll,
    Announce,
    Create,
    Describe,
    FailRun,
    Lost,
    NextIsDue,
    Passivate,
    Quarantine,
    Recover,
    Release,
    RunCrashed,
    RunSettled,
    Start,
    ThreadGone,
    ThreadIdle,
    ThreadStatusQuery,
    Withdraw,
)
from .queue import Member, TurnQueue
from .run import RunActor
from .settlement import last_frames

if TYPE_CHECKING:
    from .wiring import Wiring

_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


class _Admission(NamedTuple):
    """A run whose record is being stored. Data messages wait for it."""

    command: CreateRunCommand
    reply: LoopFuture[Any] | None
    run: RunSnapshot
    ledger: Ledger
    decision: MultitaskDecision


class ThreadActor(LoopActor):
    """One conversation thread.

    Args:
        wiring: whom to talk to.
        thread_id: the thread.
        crash: what the last incarnation failed with.
        quarantine: why it admits nothing, if so.

    """

    supervised = True

    def __init__(
        self,
        wiring: Wiring,
        thread_id: str,
        crash: BaseException | None = None,
        quarantine: str | None = None,
    ) -> None:
        self._wiring = wiring
        self._thread_id = thread_id
        self._crash = crash
        self._quarantine = quarantine
        self._fence = Fence(slot_of(thread_id), wiring.epoch)
        self._queue = TurnQueue()
        self._owner: str | None = None
        self._known = False
        """Whether a run was ever admitted here."""
        self._status = ThreadStatus.IDLE
        """How the thread stands when nothing is in flight."""
        self._since = wiring.kernel.clock.now()
        self._admission: _Admission | None = None
        self._withdrawn: set[str] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self.actor_inbox.capacity = wiring.settings.mailbox_capacity

    def fails_on(self, error: Exception) -> bool:
        """A defect while answering may leave the queue half changed."""
        return not isinstance(error, CallboardError)

    async def on_start(self) -> None:  # type: ignore[override] # see LoopActor
        """Learn from the store what is in flight."""
        if self._crash is not None:
            self.disown(ActorCrashed(f"thread '{self._thread_id}'", repr(self._crash)))
        record = await self._wiring.store.runs.load_thread(self._thread_id)
        self._known = record.last is not None or bool(record.in_flight)
        self._owner = record.owner
        if record.last is not None:
            self._status = status_after(record.last.status, record.last.waits_for_human)
        for run in record.in_flight:
            member = await adopt(self._wiring, self, run, self._fence)
            self._queue.add(run.run_id, member)
            if run.status is RunStatus.RUNNING and not self._queue.active:
                self._queue.active = run.run_id
        if self._crash is not None:
            self._take_over_ending_runs()
        if self._quarantine is not None:
            self._fail_all(self._quarantine)
        self._advance()
        self._note_idle()

    def _take_over_ending_runs(self) -> None:
        """Find runs whose end is stored but was not heard of, because of the crash."""
        for ref, book in live_runs(self._wiring, self._thread_id):
            run_id = book.ledger.request.run_id
            if run_id not in self._queue:
                self._queue.add(run_id, Member(ref, book, 0.0))
                if book.attempt is not None:
                    self._queue.active = run_id
            ref.send(Announce())

    # Admission.

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
        try:
            known = await self._find(command)
        except CallboardError as error:
            if reply is not None:
                reply.set_exception(error)
            return
        if known is None:
            self._try_admit(command, reply)
        elif reply is not None:
            reply.set(replace(known, reused=True))

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
        self._admission = _Admission(command, reply, run, ledger, decision)
        self.pause()
        self._wiring.journal.send(Append(created, self.actor_ref, run.run_id))

    def _decide(self, command: CreateRunCommand) -> MultitaskDecision:
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
            self._admit(admission, message.awaited)
        elif admission.reply is not None:
            admission.reply.set_exception(self._refusal(admission, message.outcome))

    def _refusal(self, admission: _Admission, outcome: Outcome) -> CallboardError:
        if outcome.verdict is Verdict.DUPLICATE:
            return IdempotencyConflict("run_id", admission.run.run_id)
        if outcome.verdict is Verdict.FENCED:
            self._wiring.supervisor.send(Lost(self._thread_id))
            return Fenced(f"Thread '{self._thread_id}' is owned by another runtime.")
        return StoreUnavailable(f"run '{admission.run.run_id}'", str(outcome.error))

    @handles(Observed, system=True)
    def _observed(self, message: Observed) -> None:
        """A required observer has been told of a run's creation: its run waits for that."""
        member = self._queue.get(str(message.tag))
        if member is not None:
            member.ref.send(message)

    @handles(NotCommitted, system=True)
    def _not_committed(self, message: NotCommitted) -> None:
        admission = self._admission
        if admission is not None and admission.run.run_id == message.tag:
            self._admission = None
            self.resume()
            if admission.reply is not None:
                admission.reply.set_exception(message.error)

    def _admit(self, admission: _Admission, awaited: int) -> None:
        """The record is stored: from here on the run exists."""
        command, run_id = admission.command, admission.run.run_id
        withdrawn = run_id in self._withdrawn
        if admission.decision is MultitaskDecision.CANCEL_EXISTING and not withdrawn:
            self._abort_all(
                MultitaskPolicy.action(command.multitask_strategy), StopReason.SUPERSEDED
            )
        if not self._known:
            self._known, self._owner = True, command.user_id
        member = self._enlist(admission.ledger, awaited)
        self._queue.add(run_id, member)
        if admission.reply is not None:
            admission.reply.set(admission.run)
        if withdrawn:
            self._withdrawn.discard(run_id)
            member.ref.send(Abort(CancelAction.INTERRUPT, StopReason.WITHDRAWN))
        self._advance()

    def _enlist(self, ledger: Ledger, awaited: int) -> Member:
        request = ledger.request
        book = RunBook(self._wiring, ledger)
        ref = self.kernel.spawn(RunActor, self._wiring, self.actor_ref, book, awaited, parent=self)
        self._wiring.registry.runs[request.run_id] = ref
        leaves = request.on_disconnect is DisconnectMode.CANCEL
        self._wiring.stream.send(
            OpenStream(
                request.run_id,
                request.thread_id,
                ledger.fence,
                request.resumable,
                on_leave=ref if leaves else None,
            )
        )
        book.writer.write("metadata", book.metadata())
        return Member(ref, book, self.kernel.now() + request.after_seconds)

    @handles(Withdraw, system=True)
    def _withdraw(self, message: Withdraw) -> None:
        member = self._queue.get(message.run_id)
        if member is None:
            self._withdrawn.add(message.run_id)
        else:
            member.ref.send(Abort(CancelAction.INTERRUPT, StopReason.WITHDRAWN))

    # Turns.

    def _advance(self) -> None:
        """Start the next run, if none is active and one is due."""
        now = self.kernel.now()
        member = self._queue.take(now)
        if member is not None:
            member.ref.send(Start())
            return
        due = None if self._queue.active else self._queue.next_due()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            self._alarm = self.kernel.after(max(0.0, due - now), self.actor_ref, NextIsDue())

    @handles(NextIsDue, system=True)
    def _next_is_due(self, _: NextIsDue) -> None:
        self._advance()

    @handles(RunSettled, system=True)
    def _run_settled(self, message: RunSettled) -> None:
        member = self._queue.remove(message.run_id)
        if member is None:
            return  # it was heard of before
        self._status = status_after(message.status, message.waits_for_human)
        self._wiring.registry.runs.pop(message.run_id, None)
        member.ref.send(Release())
        temporary = member.book.ledger.request.scope is RunScope.TEMPORARY_THREAD
        if self._queue:
            self._advance()
        elif temporary:
            self._append(Entry(self._fence, erase_thread=self._thread_id))
            self._leave()
        else:
            self._append(Entry(self._fence, events=(self._idle_event(message),)))
            self._note_idle()

    def _idle_event(self, message: RunSettled) -> NewEvent:
        return lifecycle_event(
            self._thread_id,
            message.run_id,
            LifecycleEventType.THREAD_STATUS_UPDATED,
            {"status": str(self._status)},
            self.kernel.clock.now(),
            message.sequence,
        )

    def _append(self, entry: Entry) -> None:
        self._wiring.journal.send(Append(entry))

    # Ending runs.

    @handles(AbortAll, system=True)
    def _abort_everything(self, message: AbortAll) -> tuple[str, ...]:
        return self._abort_all(message.action, message.reason)

    def _abort_all(self, action: CancelAction, reason: StopReason) -> tuple[str, ...]:
        for member in self._queue.members():
            member.ref.send(Abort(action, reason))
        return tuple(self._queue)

    def _fail_all(self, cause: str) -> None:
        for member in self._queue.members():
            member.ref.send(FailRun(f"Thread quarantined: {cause}", StopReason.QUARANTINED))

    @handles(Quarantine, system=True)
    def _set_quarantine(self, message: Quarantine) -> None:
        self._quarantine = message.cause

    @handles(Crashed, system=True)
    def _run_crashed(self, message: Crashed) -> None:
        """A run's actor failed, which is a defect: have a new one settle the run."""
        for member in self._queue.members():
            if member.ref == message.ref:
                self._replace_run_actor(member, message.cause)
                return
        # Its end is stored and it was letting everybody go: finish that for it.
        actor: Any = message.ref.actor_inbox.actor
        request = actor.book.ledger.request
        self._wiring.supervisor.send(RunCrashed(request.run_id, self._thread_id, message.cause))
        self._wiring.stream.send(EndStream(request.run_id, last_frames(actor.book.ending)))
        self.kernel.kill(message.ref, message.cause)

    def _replace_run_actor(self, member: Member, cause: BaseException) -> None:
        book, run_id = member.book, member.book.ledger.request.run_id
        self._wiring.supervisor.send(RunCrashed(run_id, self._thread_id, cause))
        if book.crashes < self._wiring.settings.crash_limit:
            self.kernel.revive(member.ref, self._wiring, self.actor_ref, book)
            member.ref.send(Recover(cause))
            return
        # It cannot even be settled. Its record stays as it is, for recovery.
        if book.attempt is not None:
            book.attempt.fence()
        self._queue.remove(run_id)
        self._wiring.registry.runs.pop(run_id, None)
        self.kernel.kill(member.ref, cause)
        self._advance()

    # Leaving.

    @handles(Passivate)
    def _passivate(self, _: Passivate) -> None:
        if not self._queue and self._admission is None and self.actor_inbox.empty():
            self._leave()

    def _leave(self) -> None:
        """Leave memory. What came before is handled; what comes later finds nobody here."""
        if not self.actor_inbox.empty():
            self._note_idle()
            return
        self._wiring.registry.threads.pop(self._thread_id, None)
        self._wiring.supervisor.send(ThreadGone(self._thread_id))
        self.kernel.kill(self.actor_ref)

    def _note_idle(self) -> None:
        if not self._queue:
            self._wiring.supervisor.send(ThreadIdle(self._thread_id))

    # Questions.

    @handles(ThreadStatusQuery)
    def _answer_status(self, message: ThreadStatusQuery) -> ThreadStatus:
        self._check_user(message.user_id)
        return ThreadStatus.BUSY if self._queue else self._status

    @handles(Describe)
    def _describe(self, _: Describe) -> tuple[ThreadNode, tuple[str, ...]]:
        node = ThreadNode(
            thread_id=self._thread_id,
            status=ThreadStatus.BUSY if self._queue else self._status,
            mailbox=len(self.actor_inbox),
            age=(self.kernel.clock.now() - self._since).total_seconds(),
            restarts=0,
            quarantined=self._quarantine is not None,
        )
        return node, tuple(self._queue)


def status_after(status: RunStatus, waits_for_human: bool) -> ThreadStatus:
    """How a thread stands when its last run has ended like this."""
    if waits_for_human:
        return ThreadStatus.INTERRUPTED
    return ThreadStatus.ERROR if status in _FAILED else ThreadStatus.IDLE
