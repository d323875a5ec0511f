"""One actor per bound observer: its mailbox, its cursor, its failures.

An observer is told every lifecycle event in the order of the log, once in the life of a
process; one whose cursor is durable hears again what it was told in the last second before
a crash. One that lags
behind is not fed from memory but reads the log from its cursor on, so that a slow
observer costs nobody anything. What it is told after a restart begins at its cursor.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, NamedTuple

import structlog

from ..domain.enums import EventCategory, LifecycleEventType
from ..domain.events import RunLifecycleEvent
from ..domain.store_errors import StoreUnavailable
from ..domain.supervision import ObserverNode
from ..domain.views import StoredRunEvent
from ..kernel import LoopActor, LoopFuture, LoopRef, handles, is_being_cancelled
from ..store.ports import EventLog
from .bindings import ObserverBinding
from .journal_messages import Behind, Bind, Deliver, Delivery, Unbind

_log = structlog.get_logger("callboard.observers")

PAGE = 500
"""Events read from the log at once."""
SAVE_EVERY = 1.0
"""Seconds between two times that a durable cursor is stored."""
MOST_WAITING = 1000
"""Groups of events that may wait before the observer reads the log instead."""


class Observed(NamedTuple):
    """For a run: a required observer has been told of this event, and of all before it.

    Args:
        event: the event.
        observer: the observer's name.
        error: what it raised.

    """

    event: StoredRunEvent
    observer: str
    error: BaseException | None


class ToldUpTo(NamedTuple):
    """For runs: a required observer that failed is told again, and knows all up to there."""

    observer: str
    position: int


class ObserverGone(NamedTuple):
    """For a run: that observer will not be told any more."""

    observer: str


class ObserverFailed(NamedTuple):
    """For the supervisor: an observer raised."""

    name: str
    required: bool
    event: StoredRunEvent
    error: BaseException


class DescribeObserver(NamedTuple):
    """Answers an `ObserverNode`."""


class CaughtUp(NamedTuple):
    """Answers when all events stored before it have been told."""


class _SaveCursor(NamedTuple):
    """Store how far the observer has been told."""


class Cursor:
    """How far an observer has been told. It outlives the actor's incarnations.

    Args:
        position: begin behind this place in the log; `None` begins with what is stored
            after the observer was bound.
        durable: it outlives the process too: what is stored of it, by the observer's name,
            goes before `position`.

    """

    __slots__ = (
        "bound",
        "current",
        "durable",
        "failures",
        "position",
        "saved",
        "saving",
        "suspended",
    )

    def __init__(self, position: int | None, *, durable: bool = False) -> None:
        self.position = position
        self.durable = durable
        self.bound: LoopFuture[int] | None = None
        """Where the log ended when the first incarnation asked to be told."""
        self.saved: int | None = None
        """What is stored of it; `None` before that is known."""
        self.saving: asyncio.TimerHandle | None = None
        """When it is stored next."""
        self.current: Delivery | None = None
        """What it is being told now."""
        self.failures = 0
        self.suspended: BaseException | None = None
        """Why it is told nothing more."""


class ObserverActor(LoopActor):
    """Tells one optional observer.

    Args:
        name: the observer's name.
        binding: the observer, and whether runs require it.
        cursor: where it stands.
        log: where to read what was missed.
        journal: tells what is stored.
        supervisor: hears of failures.

    """

    supervised = True
    mailbox_capacity = MOST_WAITING

    def __init__(
        self,
        name: str,
        binding: ObserverBinding,
        cursor: Cursor,
        log: EventLog,
        journal: LoopRef[Any],
        supervisor: LoopRef[Any],
    ) -> None:
        self._name = name
        self._binding = binding
        self._cursor = cursor
        self._log = log
        self._journal = journal
        self._supervisor = supervisor
        self._behind = False
        # Asked for at once, so that whatever is stored from now on is told.
        bind = Bind(self.actor_ref, name if binding.required else None)
        head = journal.request(bind)
        if cursor.bound is None or _has_failed(cursor.bound):
            cursor.bound = head

    async def on_start(self) -> None:  # type: ignore[override] # see LoopActor
        """Tell what is in the log behind the cursor."""
        cursor = self._cursor
        head = None if cursor.bound is None else await cursor.bound
        if cursor.durable:
            await self._load()
            self._save_later()
        if cursor.position is None:
            cursor.position = head
        if self._cursor.current is not None:
            await self._tell([self._cursor.current])
        await self._catch_up()
        if self._binding.required:
            # What the last incarnation was to tell again, no page of the log holds.
            self._supervisor.send(ToldUpTo(self._name, cursor.position or 0))

    async def _load(self) -> None:
        cursor = self._cursor
        if cursor.saved is None:
            stored = await self._log.load_cursor(self._name)
            cursor.saved = stored or 0
            cursor.position = cursor.position if stored is None else stored

    def _save_later(self) -> None:
        if self._cursor.saving is not None:
            self._cursor.saving.cancel()  # it may be that of an incarnation that failed
        self._cursor.saving = self.kernel.after(SAVE_EVERY, self.actor_ref, _SaveCursor())

    @handles(_SaveCursor)
    async def _save_now_and_then(self, _: _SaveCursor) -> None:
        try:
            await self._save()
        finally:
            self._save_later()

    async def _save(self) -> None:
        cursor, position = self._cursor, self._cursor.position or 0
        if not cursor.durable or position == cursor.saved or cursor.suspended is not None:
            return  # what a suspended one was not told, it is told by the next process
        try:
            await self._log.save_cursor(self._name, position)
        except StoreUnavailable as error:
            _log.warning("cursor_not_saved", observer=self._name, error=str(error))
        else:
            cursor.saved = position

    def on_stop(self) -> None:
        """Want no more events."""
        self._journal.send(Unbind(self.actor_ref))

    @handles(Behind, system=True)
    def _fell_behind(self, _: Behind) -> None:
        self._behind = True

    @handles(Deliver)
    def _deliver(self, message: Deliver) -> Coroutine[Any, Any, None] | None:
        if self._behind:
            return self._catch_up()
        deliveries = iter(message.deliveries)
        for delivery in deliveries:
            waiting = self._call(delivery)
            if waiting is not None:
                return self._tell_rest(waiting, delivery, deliveries)
        return None

    @handles(CaughtUp)
    async def _caught_up(self, _: CaughtUp) -> None:
        if self._behind:
            await self._catch_up()
        await self._save()

    @handles(DescribeObserver)
    def _describe(self, _: DescribeObserver) -> ObserverNode:
        return ObserverNode(
            name=self._name,
            required=self._binding.required,
            suspended=self._cursor.suspended is not None,
            mailbox=len(self.actor_inbox),
            cursor=self._cursor.position or 0,
            failures=self._cursor.failures,
        )

    async def _catch_up(self) -> None:
        self._behind = False
        while True:
            page = await self._log.read(
                after=self._cursor.position or 0, limit=PAGE, category=EventCategory.LIFECYCLE
            )
            if not page:
                return
            await self._tell([Delivery(event, None) for event in page])

    async def _tell(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            waiting = self._call(delivery)
            if waiting is not None:
                await self._await(waiting, delivery)

    async def _tell_rest(
        self, waiting: Awaitable[None], current: Delivery, rest: Iterable[Delivery]
    ) -> None:
        await self._await(waiting, current)
        await self._tell(rest)

    def _call(self, delivery: Delivery) -> Awaitable[None] | None:
        """Tell one event. Returns what is left to await, if the observer is async."""
        cursor = self._cursor
        if cursor.suspended is not None or delivery.event.position <= (cursor.position or 0):
            self._done(delivery, cursor.suspended)
            return None
        cursor.current = delivery
        try:
            waiting = self._binding.observer.on_event(lifecycle_event(delivery.event))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever an observer raises stays its own
            self._done(delivery, error)
            return None
        if inspect.isawaitable(waiting):
            return waiting
        self._done(delivery, None)
        return None

    async def _await(self, waiting: Awaitable[None], delivery: Delivery) -> None:
        try:
            await waiting
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if is_being_cancelled(error):
                raise  # it is the actor that is to stop
            self._done(delivery, error)
        else:
            self._done(delivery, None)

    def _done(self, delivery: Delivery, error: BaseException | None) -> None:
        cursor, event = self._cursor, delivery.event
        cursor.current = None
        cursor.position = max(cursor.position or 0, event.position)
        if self._binding.required:
            # Whoever waited when an earlier incarnation failed, the supervisor finds.
            origin = delivery.origin or self._supervisor
            origin.send(Observed(event, self._name, error))
        if error is not None and cursor.suspended is None:
            cursor.failures += 1
            self._supervisor.send(ObserverFailed(self._name, self._binding.required, event, error))


def _has_failed(answer: LoopFuture[int]) -> bool:
    return answer.cancelled() or (answer.done() and answer.exception() is not None)


class RequiredObserverActor(ObserverActor):
    """Tells a required observer. Runs wait for it, and that bounds its mailbox."""

    mailbox_capacity = LoopActor.mailbox_capacity


def lifecycle_event(stored: StoredRunEvent) -> RunLifecycleEvent:
    """The lifecycle event that a stored event of that category holds."""
    return RunLifecycleEvent(
        event_id=stored.event_id,
        event_type=LifecycleEventType(stored.event_type),
        run_id=stored.run_id,
        thread_id=stored.thread_id,
        sequence=stored.sequence or 0,
        occurred_at=stored.created_at,
        payload=stored.content or {},
    )
