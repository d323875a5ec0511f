"""The thread actor: decides, from its own memory, what every new run means for its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

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
)
from ..domain.policies import MultitaskPolicy
from ..domain.store_errors import StoreUnavailable
from ..domain.supervision import ThreadNode
from ..kernel import Crashed, LoopFuture, handles
from ..observers import Append, Observed, OpenStream, Write
from ..store.entries import Entry, NewEvent, Overtaking
from .admission import Admission
from .adoption import adopt, has_turn, live_runs
from .book import RunBook
from .erasure import ErasingActor
from .ledger import Ledger, lifecycle_event
from .messages import (
    Abort,
    AbortAll,
    Announce,
    Describe,
    FailRun,
    NextIsDue,
    Passivate,
    Quarantine,
    Recover,
    RunCrashed,
    RunSettled,
    Start,
    ThreadGone,
    ThreadIdle,
    ThreadStatusQuery,
)
from .queue import Member
from .run import RunActor
from .settlement import error_text, status_after

if TYPE_CHECKING:
    from .wiring import Wiring


class ThreadActor(ErasingActor):
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
        super().__init__(wiring, thread_id, quarantine)
        self._crash = crash
        self._status = ThreadStatus.IDLE
        """How the thread stands when nothing is in flight."""
        self._since = wiring.kernel.clock.now()
        self._alarm: asyncio.TimerHandle | None = None
        self._loaded = False
        """Whether the queue is known. What comes before waits in `_early`."""
        self._early: list[tuple[AbortAll, LoopFuture[Any] | None]] = []
        self._last_orders: AbortAll | None = None
        """The runtime is closing: what is still being admitted is aborted too."""

    async def on_start(self) -> None:  # type: ignore[override] # see LoopActor
        """Learn from the store what is in flight."""
        if self._crash is not None:
            self.disown(ActorCrashed(f"thread '{self._thread_id}'", repr(self._crash)))
            # Behind what the last incarnation had on its way to the store: it is decided then.
            await self._wiring.ask(self._wiring.journal, Write(Entry(self._fence)))
        try:
            record = await self._wiring.store.runs.load_thread(self._thread_id)
        except StoreUnavailable as error:
            if self._crash is not None:
                raise
            self._leave(error)  # nobody depends on this actor yet: the next message tries again
            return
        has_runs = record.last is not None or bool(record.in_flight)
        self._known = has_runs or record.owner is not None
        self._owner = record.owner
        self._temporary = record.temporary
        if record.last is not None:
            self._status = status_after(record.last.status, record.last.waits_for_human)
        for unfinished in record.in_flight:
            run = unfinished.run
            member = adopt(self._wiring, self, unfinished, self._fence)
            self._queue.add(run.run_id, member)
            if (run.status is RunStatus.RUNNING or has_turn(member)) and not self._queue.active:
                self._queue.active = run.run_id
        self._loaded = True
        self._abort_superseded(record.overtaking)
        if self._crash is not None:
            self._take_over_ending_runs()
            self._replace_failed_runs(self._crash)
        self._do_what_was_asked_meanwhile()
        if self._temporary and not self._queue:
            self._part()  # its last run has ended, and the process died before it was deleted
        if self._quarantine is not None:
            self._fail_all(self._quarantine)
        self._advance()
        self._note_idle()

    def _abort_superseded(self, overtaking: Iterable[Overtaking]) -> None:
        """Do it for runs whose creators were told so, or would have been: it may not be done."""
        members = self._queue.members()
        aborting = [
            (member.book.ledger.request.multitask_strategy, place)
            for place, member in enumerate(members)
        ]
        # One that its creator withdrew was not to abort anybody.
        aborting += [
            (each.strategy, each.place)
            for each in overtaking
            if each.stop_reason is not StopReason.WITHDRAWN
        ]
        for strategy, place in aborting:
            if MultitaskPolicy.decide(strategy, place) is MultitaskDecision.CANCEL_EXISTING:
                abort = Abort(MultitaskPolicy.action(strategy), StopReason.SUPERSEDED)
                for earlier in members[:place]:
                    earlier.ref.send(abort)

    def _take_over_ending_runs(self) -> None:
        """Find runs whose end is stored but was not heard of, because of the crash."""
        for ref, book in live_runs(self._wiring, self._thread_id):
            run_id = book.ledger.request.run_id
            if run_id not in self._queue:
                self._queue.add(run_id, Member(ref, book, 0.0))
                if book.attempt is not None:
                    self._queue.active = run_id
            ref.send(Announce())

    def _replace_failed_runs(self, crash: BaseException) -> None:
        """Find runs whose actors' failures were told to an incarnation that failed itself."""
        for ref in self.kernel.undecided(self.actor_ref):
            self._run_crashed(Crashed(ref, crash))

    def _do_what_was_asked_meanwhile(self) -> None:
        for message, reply in self._early:
            aborted = self._abort_all(message.action, message.reason)
            if reply is not None and not reply.done():
                reply.set(aborted)

    # Admission: see `AdmittingActor`.

    def _admit(self, admission: Admission) -> None:
        """The record is stored: from here on the run exists."""
        command, run_id = admission.command, admission.run.run_id
        withdrawn = run_id in self._withdrawn
        if admission.decision is MultitaskDecision.CANCEL_EXISTING and not withdrawn:
            self._abort_all(
                MultitaskPolicy.action(command.multitask_strategy), StopReason.SUPERSEDED
            )
        if not self._known:
            self._known, self._owner = True, command.user_id
        self._temporary = command.scope is RunScope.TEMPORARY_THREAD
        member = self._enlist(admission.ledger)
        self._queue.add(run_id, member)
        if admission.reply is not None:
            admission.reply.set(admission.run)
        if withdrawn:
            self._withdrawn.discard(run_id)
            member.ref.send(Abort(CancelAction.INTERRUPT, StopReason.WITHDRAWN))
        elif self._last_orders is not None:
            member.ref.send(Abort(*self._last_orders))
        self._advance()

    def _enlist(self, ledger: Ledger) -> Member:
        request = ledger.request
        book = RunBook(self._wiring, ledger)
        ref = self.kernel.spawn(RunActor, self._wiring, self.actor_ref, book, parent=self)
        self._wiring.registry.runs[request.run_id] = ref
        leaves = request.on_disconnect is DisconnectMode.CANCEL
        self._wiring.stream.send(
            OpenStream(
                request.run_id,
                request.thread_id,
                ledger.fence,
                request.resumable,
                metadata=book.metadata(),
                on_leave=ref if leaves else None,
            )
        )
        return Member(ref, book, self.kernel.now() + request.after_seconds)

    @handles(Observed, system=True)
    def _observed(self, message: Observed) -> None:
        """A required observer has been told of a run's creation.

        The run need not wait for it: it waits until its start has been told, which is later.
        """
        run = self._wiring.registry.runs.get(message.event.run_id)
        if run is not None and message.error is not None:
            run.send(FailRun(error_text(message.error), StopReason.OBSERVER_FAILED))

    # Turns.

    def _advance(self) -> None:
        """Start the next run, if none is active and one is due."""
        if self._wiring.registry.handing_over:
            return
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
        if not message.forgotten:
            self._status = status_after(message.status, message.waits_for_human)
        temporary = member.book.ledger.request.scope is RunScope.TEMPORARY_THREAD
        if temporary and not self._queue and not self._erasing:
            self._part_with(member)
            return
        self._release(member)
        if self._queue:
            self._advance()
        elif self._erasing:
            self._erase_if_quiet()
        else:
            if not message.forgotten:
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
    def _abort_everything(self, message: AbortAll) -> tuple[str, ...] | None:
        if not self._loaded:
            self._early.append((message, self.defer()))
            return None
        if message.reason is StopReason.SHUTDOWN:
            self._last_orders = message
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
        if not message.ref.actor_inbox.suspended:
            return  # it has been replaced
        parting = () if self._parting is None else (self._parting,)
        for member in (*self._queue.members(), *parting):
            if member.ref == message.ref:
                self._replace_run_actor(member, message.cause)
                return
        # Its end is stored, and it was letting everybody go.
        actor: Any = message.ref.actor_inbox.actor
        request = actor.book.ledger.request
        if request.run_id in self._wiring.registry.runs:
            return  # it is replaced when the queue is known
        self._wiring.supervisor.send(RunCrashed(request.run_id, self._thread_id, message.cause))
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
        if self._queue:
            return
        if self._admission is None:
            self._leave()
        else:
            self._note_idle()

    def _leave(self, cause: BaseException | None = None) -> None:
        """Leave memory. What came before is handled; what comes later finds nobody here.

        Args:
            cause: answers what came before, instead.

        """
        if cause is None and not self.actor_inbox.empty():
            self._note_idle()
            return
        self._wiring.registry.threads.pop(self._thread_id, None)
        self._wiring.supervisor.send(ThreadGone(self._thread_id))
        self.kernel.kill(self.actor_ref, cause)

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
