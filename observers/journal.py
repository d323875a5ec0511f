"""The journal actor: the runtime's one writer.

Whoever has something to record sends an `Append` and gets a `Committed` when it is
stored, or a `NotCommitted`. The appends of one turn, and those that arrive while the store
is busy, are committed as one group. Only after the commit do the observers hear of it, in
the order of the log.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any, NamedTuple

import pykka
import structlog

from ..domain.enums import EventCategory
from ..domain.errors import Fenced, RuntimeBusy
from ..domain.store_errors import OutcomeUnknown, StoreUnavailable
from ..kernel import LoopActor, LoopFuture, LoopRef, handles
from ..store.entries import Outcome, Verdict
from ..store.ports import Store
from .journal_messages import (
    Append,
    Barrier,
    Behind,
    Bind,
    Committed,
    Deliver,
    Delivery,
    NotCommitted,
    OwnershipLost,
    StoreTrouble,
    Unbind,
    Write,
)

_log = structlog.get_logger("callboard.journal")

FIRST_RETRY = 0.05
"""Seconds before a failed group is tried again; doubles each time."""
LAST_RETRY = 5.0
"""Longest wait between two tries, in seconds."""
JITTER = 0.2
"""Part of a wait that chance may add or take away."""
LARGEST_GROUP = 1024
"""Events that are committed together, unless one entry has more."""
PROBE = "callboard journal"
"""The name of the cursor that is written to see whether the store works again."""
PATIENCE = 10.0
"""Seconds without an answer from the store after which it counts as failing."""


class _Asker:
    """Somebody outside of the actors, who awaits the answer."""

    __slots__ = ("_reply",)

    def __init__(self, reply: LoopFuture[Any]) -> None:
        self._reply = reply

    def send(self, message: Any) -> None:
        """Answer."""
        if isinstance(message, NotCommitted):
            self._reply.set_exception(message.error)
        elif message.outcome.verdict is Verdict.FENCED:
            self._reply.set_exception(Fenced("This runtime no longer owns what it wrote to."))
        elif message.outcome.verdict is Verdict.FAILED:
            error = StoreUnavailable("an entry", str(message.outcome.error))
            self._reply.set_exception(error)
        else:
            self._reply.set(message.outcome)


class _Retry(NamedTuple):
    """Try the kept entries again."""


class _Probe(NamedTuple):
    """See whether the store works again."""


class _Commit(NamedTuple):
    """Commit what has come."""


class _Look(NamedTuple):
    """See whether the store still owes an answer."""


class _GroupDone(NamedTuple):
    """The store has answered a group."""

    group: list[Append]
    outcomes: list[Outcome] | None
    error: BaseException | None


class JournalActor(LoopActor):
    """Commits entries in groups, in the order they came.

    A group that the store did not take is committed again until it does; only what is
    refusable is given up at once: new runs, and what callers do to threads and ended runs. A
    group of unknown outcome is committed again as it is, before any other. While the store
    fails, or owes an answer for long, nothing refusable is accepted.
    """

    def __init__(self, store: Store, supervisor: LoopRef[Any], head: int) -> None:
        self._store = store
        self._supervisor = supervisor
        self._pending: list[Append] = []
        self._in_doubt: list[Append] = []
        """A group that may be stored."""
        self._committing = False
        self._gathering = False
        self._store_waits = False
        """Whether the store's answers have to be awaited; learnt from the first."""
        self._since = 0.0
        """When the group under way was given to the store."""
        self._failures = 0
        self._next_try: asyncio.TimerHandle | None = None
        self._trouble: str | None = None
        self._head = head
        self._barriers: list[LoopFuture[Any]] = []
        self._observers: dict[LoopRef[Any], str | None] = {}
        """Who is told; with the name of those that runs require."""

    def on_start(self) -> None:
        """Look after the store now and then."""
        self._look_later()

    def _look_later(self) -> None:
        self.kernel.after(PATIENCE / 2, self.actor_ref, _Look())

    @handles(_Look, system=True)
    def _look(self, _: _Look) -> None:
        waited = self.kernel.now() - self._since
        if self._committing and self._trouble is None and waited >= PATIENCE:
            self._in_trouble(f"no answer for {waited:.0f} seconds")
        self._look_later()

    def _in_trouble(self, fault: str | None) -> None:
        if fault is not None or self._trouble is not None:
            self._trouble = fault
            told = None if fault is None else f"The store does not take writes ({fault})."
            self._supervisor.send(StoreTrouble(told, "journal"))

    @handles(Append)
    def _append(self, message: Append) -> None:
        if self._committing and self._trouble is not None and message.refusable:
            what = "the run" if message.entry.insert is not None else "the change"
            self._give_up(message, StoreUnavailable(what, self._trouble))
        else:
            self._pending.append(message)

    @handles(Write)
    def _write(self, message: Write) -> None:
        reply = self.defer()
        asker = None if reply is None else _Asker(reply)
        self._append(Append(message.entry, asker, refusable=message.refusable))

    @handles(Barrier)
    def _barrier(self, _: Barrier) -> None:
        idle = not (self._pending or self._in_doubt or self._committing)
        reply = None if idle else self.defer()
        if reply is not None:
            self._barriers.append(reply)

    @handles(Bind)
    def _bind(self, message: Bind) -> int:
        self._observers[message.observer] = message.name
        return self._head

    @handles(Unbind)
    def _unbind(self, message: Unbind) -> None:
        self._observers.pop(message.observer, None)

    @handles(_Retry, system=True)
    def _retry(self, _: _Retry) -> None:
        self._committing = False
        self._commit()

    @handles(_Probe, system=True)
    def _probe(self, _: _Probe) -> None:
        """Nothing is left to try again with: write something that changes nothing."""
        if self._committing or self._trouble is None:
            return
        self._committing = True
        ref, log, head = self.actor_ref, self._store.events, self._head

        def done(task: asyncio.Task[None]) -> None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            ref.send(_GroupDone([], None if error else [], error))

        self.kernel.run(log.save_cursor(PROBE, head), done, "callboard journal probe")

    def on_turn_end(self) -> None:
        """Commit what this turn brought.

        For a store that takes its time, first let the others have their turns: what they
        send joins the group.
        """
        if not self._pending or self._committing:
            return
        if not self._store_waits:
            self._commit()
        elif not self._gathering:
            self._gathering = True
            self.kernel.loop.call_soon(self.actor_ref.send, _Commit())

    @handles(_Commit, system=True)
    def _gathered(self, _: _Commit) -> None:
        self._gathering = False
        if not self._committing:
            self._commit()

    def _commit(self) -> None:
        group = self._next_group()
        if not group:
            return
        self._committing, self._since = True, self.kernel.now()
        try:
            answer = self._store.commit([append.entry for append in group])
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the group is kept
            self._done(_GroupDone(group, None, error))
            return
        if isinstance(answer, list):
            self._done(_GroupDone(group, answer, None))
        else:
            self._store_waits = True
            self._await(group, answer)

    def _next_group(self) -> list[Append]:
        if self._in_doubt:
            group, self._in_doubt = self._in_doubt, []
            return group
        events = end = 0
        for end, append in enumerate(self._pending, 1):  # noqa: B007 - it is used below
            events += len(append.entry.events)
            if events >= LARGEST_GROUP:
                break
        group, self._pending = self._pending[:end], self._pending[end:]
        return group

    def _await(self, group: list[Append], answer: Awaitable[list[Outcome]]) -> None:
        ref = self.actor_ref

        async def outcomes() -> list[Outcome]:
            return await answer

        # Not wrapped if need not be: a wrapper that never begins leaves it unawaited.
        work = answer if inspect.iscoroutine(answer) else outcomes()

        def done(task: asyncio.Task[list[Outcome]]) -> None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            ref.send(_GroupDone(group, None if error else task.result(), error))

        self.kernel.run(work, done, "callboard journal")

    @handles(_GroupDone, system=True)
    def _done(self, message: _GroupDone) -> None:
        if message.outcomes is None:
            self._group_failed(message.group, message.error)
            return
        self._committing = False
        self._failures = 0
        self._in_trouble(None)
        self._answer(message.group, message.outcomes)
        if self._pending:
            self._commit()
        elif self._barriers:
            barriers, self._barriers = self._barriers, []
            for reply in barriers:
                reply.set(None)

    def _answer(self, group: list[Append], outcomes: list[Outcome]) -> None:
        required = tuple(
            name for ref, name in self._observers.items() if name is not None and ref.is_alive()
        )
        deliveries: list[Delivery] = []
        for append, outcome in zip(group, outcomes, strict=True):
            self._head = max(self._head, outcome.position)
            if outcome.verdict is Verdict.FENCED:
                slot = append.entry.fence.slot
                self._supervisor.send(OwnershipLost(f"slot {slot} has another owner"))
            told = self._deliveries(append, outcome) if self._observers else []
            deliveries += told
            if append.origin is not None:
                awaited, last = (required, told[-1].event.position) if told else ((), 0)
                append.origin.send(Committed(append.tag, outcome, awaited, last))
            elif outcome.verdict is not Verdict.APPLIED:
                _log.warning("entry_not_applied", outcome=outcome, tag=append.tag)
        if deliveries:
            self._deliver(Deliver(tuple(deliveries)))

    @staticmethod
    def _deliveries(append: Append, outcome: Outcome) -> list[Delivery]:
        return [
            Delivery(event, append.origin)
            for event in outcome.events
            if event.category is EventCategory.LIFECYCLE
        ]

    def _deliver(self, message: Deliver) -> None:
        for observer in tuple(self._observers):
            try:
                observer.tell(message)
            except RuntimeBusy:
                observer.send(Behind())
            except pykka.ActorDeadError:
                del self._observers[observer]

    def _group_failed(self, group: list[Append], error: BaseException | None) -> None:
        if not isinstance(error, StoreUnavailable):
            error = StoreUnavailable("a group of entries", repr(error))
        self._failures += 1
        self._in_trouble(error.cause)
        if isinstance(error, OutcomeUnknown) and group:
            self._in_doubt = group
        else:
            self._keep(group, error)
        if self._pending or self._in_doubt:
            self._try_later(_Retry())
        else:
            self._committing = False
            self._try_later(_Probe())

    def _try_later(self, message: _Retry | _Probe) -> None:
        """Instead of what was to be tried before: that has just been."""
        if self._next_try is not None:
            self._next_try.cancel()
        self._next_try = self.kernel.after(self._delay(), self.actor_ref, message)

    def _keep(self, group: list[Append], error: StoreUnavailable) -> None:
        kept = [append for append in group if not append.refusable]
        for append in group:
            if append.refusable:
                self._give_up(append, error)
        self._pending = kept + self._pending

    def _delay(self) -> float:
        """Seconds until the next try."""
        spread = 1.0 + JITTER * (2.0 * self.kernel.entropy.chance() - 1.0)
        delay = FIRST_RETRY * 2.0 ** min(self._failures - 1, 20) * spread
        return min(LAST_RETRY, delay)

    @staticmethod
    def _give_up(append: Append, error: StoreUnavailable) -> None:
        if append.origin is not None:
            append.origin.send(NotCommitted(append.tag, error))
