"""Bugs that a developer of callboard might have written: each a slip in a line or two.

Each is an edit of a function's source, so that one sees how small it is; an edit that no
longer applies is an error, so that none of them is tested against something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from callboard.actors.admission import AdmittingActor
from callboard.actors.adoption import _revive
from callboard.actors.attempt import Attempt
from callboard.actors.draining import Draining
from callboard.actors.erasure import ErasingActor
from callboard.actors.queue import TurnQueue
from callboard.actors.recording import RecordingActor
from callboard.actors.recovery import Recovery, restarts_orphans
from callboard.actors.run import RunActor
from callboard.actors.runtime import Runtime
from callboard.actors.thread import ThreadActor
from callboard.actors.thread_calls import ThreadCalls
from callboard.kernel.ends import Ends
from callboard.kernel.kernel import Kernel
from callboard.observers.frames import FrameBuffer
from callboard.observers.journal import JournalActor
from callboard.observers.observer_actor import ObserverActor
from callboard.observers.stream import StreamActor


@dataclass(frozen=True)
class Slip:
    """One bug.

    Args:
        name: what it is.
        thought: what its developer got wrong.
        function: where.
        right: what stands there.
        wrong: what stands there instead.
        also: other edits that belong to it.
    """

    name: str
    thought: str
    function: Callable[..., Any]
    right: str
    wrong: str
    also: tuple[tuple[Callable[..., Any], str, str], ...] = ()

    @property
    def edits(self) -> tuple[tuple[FunctionType, str, str], ...]:
        """Function, right, wrong: all of them."""
        return ((self.function, self.right, self.wrong), *self.also)  # type: ignore[return-value]

    def __str__(self) -> str:
        return self.name


SLIPS = (
    # Turns.
    Slip(
        "successor before predecessor has unwound",
        "A run ends when its agent was told to stop, not when it has stopped.",
        RunActor._unwind,
        "self._arm_grace(attempt.number)",
        "self._settle()",
    ),
    Slip(
        "restart before the old attempt has unwound",
        "Cancelling a task ends it.",
        RunActor._restart_run,
        "self._restart = message\n        self._unwind()",
        "self._restart = message\n        book.attempt.cancel()\n        self._unwound()",
    ),
    Slip(
        "queue by id",
        "Ids are given in order, so a number of admission beside the id is superfluous.",
        TurnQueue.add,
        "(member.due, self._admitted, run_id, member)",
        "(member.due, 0, run_id, member)",
    ),
    Slip(
        "delayed run that blocks the queue for ever",
        "One alarm is enough: it need not be set again.",
        ThreadActor._advance,
        "self._alarm.cancel()\n        self._alarm = None",
        "return",
    ),
    Slip(
        "reject looks at the queue only",
        "`waiting` is how many runs are in the way of a new one.",
        AdmittingActor._decide,
        "len(self._queue))",
        "self._queue.waiting)",
    ),
    Slip(
        "decisions overlap",
        "While a record is being stored, the next command can be decided about.",
        AdmittingActor._try_admit,
        "self.pause()",
        "pass",
    ),
    Slip(
        "interrupt aborts the running run only",
        "What waits has nothing that could be interrupted.",
        ThreadActor._abort_all,
        "for member in self._queue.members():",
        "for member in self._queue.members()[:1]:",
    ),
    Slip(
        "idempotent create begins anew",
        "Looking a run up is for idempotency keys; a run id says nothing of a second try.",
        AdmittingActor._create,
        "if message.chosen or command.idempotency_key is not None:",
        "if command.idempotency_key is not None and not message.chosen:",
    ),
    # Aborts.
    Slip(
        "abort of a pending run that still starts",
        "An abort that comes while the start is being stored is seen by the agent.",
        RunActor._go_on,
        "if book.ending is not None:\n        self._unwound()\n        return",
        "",
    ),
    Slip(
        "abort of a pending run that waits for its turn",
        "A run that has not begun ends when it would have begun.",
        RunActor._end,
        "case Phase.UNWINDING | Phase.STARTING:",
        "case Phase.UNWINDING | Phase.STARTING | Phase.QUEUED:",
    ),
    Slip(
        "rollback that does not restore",
        "Nothing was captured where `captured` is None, which is what plain agents capture.",
        RunActor._unwound,
        "book.captured is not UNSET",
        "book.captured is not None",
    ),
    Slip(
        "a second abort downgrades",
        "The last abort counts.",
        RunActor._upgrade,
        "CancelPolicy.strongest(ending.action, action)",
        "action",
    ),
    Slip(
        "grace of a previous attempt",
        "The timer is for the run: it need not be stopped, nor looked at, when an attempt ends.",
        RunActor._grace_is_up,
        "if message.attempt != self._ledger.attempt:\n        return",
        "",
        also=((RunActor._disarm_grace, "self._grace.cancel()", "pass"),),
    ),
    Slip(
        "ghosts are heard",
        "A fenced attempt may write no records; frames are harmless.",
        Attempt.fence,
        "self.gate.closed = self.gate.fenced = True",
        "self.gate.fenced = True",
    ),
    Slip(
        "no grace",
        "An agent that was asked to unwind does.",
        RunActor._unwind,
        "self._arm_grace(attempt.number)",
        "",
    ),
    Slip(
        "disconnect aborts while others read",
        "Who leaves says so where it stops reading, and where its generator is closed.",
        Runtime.stream_pages,
        "house.wiring.stream.send(Detach(command.run_id))",
        "house.wiring.stream.send(Detach(command.run_id))\n"
        "        house.wiring.stream.send(Detach(command.run_id))",
    ),
    Slip(
        "disconnect during the end",
        "A run without an ending has not ended.",
        RunActor._consumers_left,
        "self.book.ending is None and self.book.phase not in OVER",
        "self.book.ending is None",
    ),
    # What is stored.
    Slip(
        "store error swallowed",
        "A failed group was logged, and that is that.",
        JournalActor._keep,
        "self._pending = kept + self._pending",
        "",
    ),
    Slip(
        "store error is success",
        "Whatever the store answers, it has been asked.",
        JournalActor._await,
        "_GroupDone(group, None if error else task.result(), error)",
        "_GroupDone(group, [Outcome(Verdict.APPLIED)] * len(group)"
        " if error else task.result(), None)",
    ),
    Slip(
        "failed group goes behind",
        "What failed is tried again at the end of the line.",
        JournalActor._keep,
        "kept + self._pending",
        "self._pending + kept",
    ),
    Slip(
        "insert in doubt given up",
        "What fails is not stored.",
        JournalActor._group_failed,
        "isinstance(error, OutcomeUnknown) and group",
        "False",
    ),
    Slip(
        "group in doubt after a later one",
        "What is new goes first; what is in doubt is stored anyway, most of the time.",
        JournalActor._next_group,
        "if self._in_doubt:",
        "if self._in_doubt and not self._pending:",
    ),
    Slip(
        "starts before it is stored",
        "The store will not refuse a start, so nobody need wait for it.",
        RunActor._start,
        "self._commit(entry, START)",
        "self._commit(entry, START)\n        self._go_on()",
    ),
    Slip(
        "create answered before the commit",
        "The caller may have its answer as soon as the decision has been taken.",
        AdmittingActor._try_admit,
        "self._admission = Admission(command, reply,",
        "reply is not None and reply.set(run)\n    self._admission = Admission(command, None,",
    ),
    Slip(
        "wait answered before the commit",
        "The result is known: who waits for it may have it.",
        RecordingActor._commit_end,
        "self._commit(book.settlement, END)",
        "for waiter in book.waiters:\n        waiter.set(self._ledger.result())\n"
        "    book.waiters = []\n    self._commit(book.settlement, END)",
    ),
    Slip(
        "end of the stream before the commit",
        "The stream ends when the agent does.",
        RecordingActor._commit_end,
        "self._commit(book.settlement, END)",
        "self._wiring.stream.send(EndStream(self._ledger.request.run_id,"
        " last_frames(book.ending)))\n    self._commit(book.settlement, END)",
    ),
    Slip(
        "terminal status written again",
        "A replaced actor settles its run; that it was settled before does not matter.",
        RunActor._recover,
        "if book.settlement is not None:",
        "if False:",
    ),
    Slip(
        "required observers are not waited for",
        "They have been sent the event, so they know.",
        RecordingActor._committed,
        "self._awaited[observer] = message.told",
        "pass",
    ),
    # Death and recovery.
    Slip(
        "queue forgotten on restart",
        "What was in flight when the process died was running.",
        Recovery._settle,
        "return len(orphans) < len(runs)",
        "return any(each.run.status is RunStatus.RUNNING for each in runs[len(orphans) :])",
    ),
    Slip(
        "sequence used again after recovery",
        "`sequence` of the store is the next one.",
        _revive,
        "unfinished.sequence + 1",
        "unfinished.sequence",
    ),
    Slip(
        "orphans are tried again whatever their policy",
        "A run that was running goes on running.",
        restarts_orphans,
        "return wiring.agents.policy(run.assistant_id).restarts_orphan(run.attempt)",
        "return True",
    ),
    Slip(
        "end not heard by the rebuilt thread",
        "A thread that comes back finds in the store what is in flight.",
        ThreadActor.on_start,
        "self._take_over_ending_runs()",
        "pass",
    ),
    Slip(
        "observer skips an event after a restart",
        "The cursor is where it goes on: behind the place that was stored.",
        ObserverActor._load,
        "if stored is None else stored",
        "if stored is None else stored + 1",
    ),
    Slip(
        "message dropped during passivation",
        "An idle thread has nothing to do.",
        ThreadActor._leave,
        "if cause is None and not self.actor_inbox.empty():",
        "if False:",
    ),
    # Whole threads, and what leaves no record.
    Slip(
        "deleted before its runs have unwound",
        "Its runs were aborted, so nothing of them goes on.",
        ErasingActor._erase_if_quiet,
        "if self._erasing and not self._queue:",
        "if self._erasing:",
    ),
    Slip(
        "creates that meet a deletion are not told",
        "Nobody asks for a thread that is being deleted.",
        ErasingActor._erased,
        "self._leave(ThreadNotFound(self._thread_id))",
        "self._leave()",
    ),
    Slip(
        "frames outlive their thread",
        "What is erased from the store is gone.",
        ErasingActor._erased,
        "if deleted or self._erasers:",
        "if False:",
    ),
    Slip(
        "the last run of a temporary thread is not let go",
        "Who waits for it is told with all the others.",
        ErasingActor._erased,
        "self._let_go()",
        "",
    ),
    Slip(
        "a temporary thread goes though a run is being admitted",
        "What is not in the queue is not there.",
        ErasingActor._part_with,
        "if not self._is_admitting():\n        self._part()",
        "self._part()",
    ),
    Slip(
        "changes do not see what is in flight",
        "Whoever changes a state knows what he does.",
        AdmittingActor._while_idle,
        "if self._queue:",
        "if False:",
    ),
    Slip(
        "runs do not wait for changes",
        "A change takes no time.",
        AdmittingActor._while_idle,
        "return _carry_out(message.work, self.defer())",
        "self.kernel.run(_carry_out(message.work, self.defer()), lambda _: None, 'change')",
    ),
    Slip(
        "forgotten before observers know",
        "A run that leaves no record has nobody to wait for.",
        RecordingActor._committed,
        "if not self._awaited:",
        "if not self._awaited or self._is_to_be_forgotten():",
    ),
    Slip(
        "an end is told before it is forgotten",
        "The end is stored, and that is what waiters wait for.",
        RecordingActor._observers_know,
        "self._commit(Entry(self._ledger.fence, erase_run=run_id), FORGET)",
        "self._commit(Entry(self._ledger.fence, erase_run=run_id), FORGET)\n"
        "            self._settled()",
    ),
    Slip(
        "a thread made twice by one caller",
        "What is a duplicate was made by somebody else.",
        ThreadCalls.create_thread,
        "if known is None or _made(known) != _made(made):",
        "if True:",
    ),
    Slip(
        "what is handed over is aborted",
        "A runtime that is closed leaves nothing in flight.",
        Draining.drain,
        "if abort and (left or not decided):",
        "if left or not decided:",
    ),
    # Streams.
    Slip(
        "replay begins one frame early",
        "`last_event_id` is the first frame wanted.",
        Runtime.stream_pages,
        "command.after, False",
        "max(0, command.after - 1), False",
    ),
    Slip(
        "gap without a gap",
        "Who asks for what follows frame 5 asks for frame 5.",
        FrameBuffer.page,
        "if after + 1 < self.earliest:",
        "if after < self.earliest:",
    ),
    Slip(
        "eviction off by one",
        "The frame before the earliest is still there.",
        FrameBuffer.page,
        "if after + 1 < self.earliest:",
        "if after + 2 < self.earliest:",
    ),
    Slip(
        "buffers of ended runs stay",
        "They are forgotten when somebody cleans up.",
        StreamActor._end,
        "self._forget_old()",
        "",
    ),
    Slip(
        "sealed too early",
        "Frames that were sent to the journal are stored.",
        StreamActor._answer_seal,
        "if stream.sealing is not None and not stream.unstored:",
        "if stream.sealing is not None:",
    ),
    # The kernel, and the end.
    Slip(
        "tasks are never forgotten",
        "A task that has ended costs nothing.",
        Kernel.run,
        "self._tasks.pop(task, None)",
        "",
    ),
    Slip(
        "who asked a stopped actor waits for ever",
        "What is in the mailbox is answered; what was taken out of it has been.",
        Ends.stop_now,
        'mailbox.answer_owed(_dead(f"{mailbox} stopped", cause))',
        "",
    ),
    Slip(
        "idle thread stays",
        "The supervisor finds idle threads by itself.",
        ThreadActor._note_idle,
        "self._wiring.supervisor.send(ThreadIdle(self._thread_id))",
        "pass",
    ),
    Slip(
        "closed while an agent executes",
        "Whoever was told to stop has stopped.",
        Draining.drain,
        "await self._wait_for_runs(self._registry.runs.values(), grace)",
        "pass",
    ),
    Slip(
        "one waiter who left takes the others along",
        "Nobody waits any more when one does not.",
        RecordingActor._release,
        "waiter.set(result)",
        "if waiter.cancelled():\n                return\n            waiter.set(result)",
    ),
)
