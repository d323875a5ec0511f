"""The kernel: hosts actors on one event loop.

Every mailbox is touched on one OS thread only. Other OS threads put their envelopes into
one inbound queue and wake the loop at most once for all of them. One callback on the loop
gives turns to many ready actors, a bounded number of messages each, and yields to I/O when
its time is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from threading import get_ident
from types import CoroutineType
from typing import Any, TypeVar

import pykka
import structlog

from ..domain.errors import RuntimeBusy
from .actor import LoopActor
from .ambient import enter
from .clock import Clock, Entropy, WallClock
from .ends import Ends
from .future import LoopFuture
from .inbound import Inbound
from .mailbox import Envelope, Mailbox
from .messages import Begin, Terminated
from .options import KernelOptions
from .ref import LoopRef
from .schedule import Schedule

A = TypeVar("A", bound=LoopActor)
T = TypeVar("T")

_log = structlog.get_logger("callboard.kernel")


class Kernel(Ends):
    """Hosts actors on the event loop it is made on.

    Args:
        options: how; the defaults are for real time.

    Raises:
        RuntimeError: there is no running event loop.

    """

    def __init__(self, options: KernelOptions | None = None) -> None:
        options = options or KernelOptions()
        self.loop = asyncio.get_running_loop()
        self.clock: Clock = options.clock or WallClock()
        self.entropy = options.entropy or Entropy()
        super().__init__()
        self._thread_id = get_ident()
        self._throughput = options.throughput
        self._turn_time = options.turn
        self._born = 0
        self._ready: Schedule = deque() if options.schedule is None else options.schedule
        self._awake = False
        """True iff `_drain` is scheduled on the loop."""
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._context = copy_context()
        self._context.run(enter, self)
        self._inbound = Inbound(
            self.loop, self._context, options.inbound_capacity, self._take, self._bounce
        )

    # Actors.

    def __len__(self) -> int:
        """How many actors there are."""
        return len(self._mailboxes)

    def is_current_thread(self) -> bool:
        """Whether this is the OS thread of the kernel's loop."""
        return get_ident() == self._thread_id

    def spawn(
        self, actor_class: type[A], *args: Any, parent: LoopActor | None = None, **kwargs: Any
    ) -> LoopRef[A]:
        """Start an actor. Only on the loop's OS thread.

        Args:
            actor_class: its class.
            args: for its constructor.
            parent: gets `Crashed` when a supervised actor fails, and `Terminated` when
                the actor has stopped.
            kwargs: for its constructor.

        Raises:
            pykka.ActorDeadError: the kernel is closed.

        """
        if self.closed:
            raise pykka.ActorDeadError(f"{actor_class.__name__} not started: kernel closed")
        mailbox = self.mailbox(actor_class, parent)
        self._incarnate(mailbox, args, kwargs)
        self._mailboxes[mailbox.number] = mailbox
        self.begin(mailbox)
        return LoopRef(mailbox)

    def mailbox(self, actor_class: type[LoopActor], parent: LoopActor | None = None) -> Mailbox:
        """An empty mailbox for a new actor."""
        self._born += 1
        above = None if parent is None else parent.actor_inbox
        return Mailbox(self, self._born, actor_class, above)

    def begin(self, mailbox: Mailbox) -> None:
        """Have `on_start` run before the first message, where the actor has one."""
        if mailbox.actor_class.starts:
            self._accept(mailbox, Envelope(Begin()))

    def revive(self, ref: LoopRef[A], *args: Any, **kwargs: Any) -> None:
        """Put a new incarnation behind the mailbox of a crashed actor.

        Refs stay good, and what waited in the mailbox is handled by the new one.
        """
        mailbox = ref.actor_inbox
        if mailbox.stopped:
            return
        self._decided(mailbox)
        mailbox.paused = False
        mailbox.held = mailbox.task is not None
        self._incarnate(mailbox, args, kwargs)
        self.begin(mailbox)
        self.reschedule(mailbox)

    def kill(self, ref: LoopRef[Any], cause: BaseException | None = None) -> None:
        """Stop an actor at once; what waits in its mailbox is answered with an error."""
        self.stop_now(ref.actor_inbox, cause)

    def watch(self, watcher: LoopActor, ref: LoopRef[Any]) -> None:
        """Send `watcher` a `Terminated` when the actor stops; at once if it has."""
        mailbox = ref.actor_inbox
        if mailbox.stopped:
            self.post(watcher.actor_inbox, Envelope(Terminated(ref, None)))
        elif mailbox.watchers is None:
            mailbox.watchers = [watcher.actor_inbox]
        elif watcher.actor_inbox not in mailbox.watchers:
            mailbox.watchers.append(watcher.actor_inbox)

    def unwatch(self, watcher: LoopActor, ref: LoopRef[Any]) -> None:
        """Send `watcher` nothing."""
        watchers = ref.actor_inbox.watchers
        if watchers is not None and watcher.actor_inbox in watchers:
            watchers.remove(watcher.actor_inbox)

    def _incarnate(self, mailbox: Mailbox, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        actor = mailbox.actor_class.__new__(mailbox.actor_class)
        actor._mailbox = mailbox
        actor.__init__(*args, **kwargs)  # type: ignore[misc]
        mailbox.actor = actor

    # Messages.

    def future(self) -> LoopFuture[Any]:
        """An empty future that lives on this kernel's loop."""
        return LoopFuture(self.loop, self._thread_id)

    def post(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        """Deliver an envelope, from any OS thread.

        Raises:
            RuntimeBusy: nobody asked for a reply and the mailbox is full.

        """
        if get_ident() == self._thread_id:
            self._accept(mailbox, envelope)
        else:
            self._inbound.put(mailbox, envelope)

    def _accept(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        if mailbox.stopped:
            self._bounce(mailbox, envelope)
            return
        if type(envelope.message) in mailbox.actor_class.system_messages:
            if mailbox.system is None:
                mailbox.system = deque()
            mailbox.system.append(envelope)
        else:
            data = mailbox.data
            if data is None:
                mailbox.data = data = deque()
            elif len(data) >= mailbox.capacity:
                self._refuse(mailbox, envelope)
                return
            data.append(envelope)
            if mailbox.held:
                return
        if not mailbox.scheduled and not mailbox.suspended:
            mailbox.scheduled = True
            self._ready.append(mailbox)
            if not self._awake:
                self._awake = True
                self.loop.call_soon(self._drain, context=self._context)

    @staticmethod
    def _refuse(mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        busy = RuntimeBusy(repr(mailbox), mailbox.capacity)
        if envelope.reply_to is None:
            raise busy
        envelope.reply_to.set_exception(busy)  # type: ignore[arg-type]

    def _take(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        try:
            self._accept(mailbox, envelope)
        except RuntimeBusy:
            self.dead_letters.add(repr(mailbox), envelope.message)

    # Turns.

    def _drain(self) -> None:
        self._awake = False
        ready, time = self._ready, self.loop.time
        deadline = time() + self._turn_time
        turns = 0
        try:
            while ready:
                self._turn(ready.popleft())
                turns += 1
                if not turns & 7 and time() >= deadline:
                    break
        finally:  # a BaseException ends one actor; the others keep their turns
            if ready and not self._awake:
                self._awake = True
                self.loop.call_soon(self._drain, context=self._context)

    def _turn(self, mailbox: Mailbox) -> None:  # noqa: C901, PLR0912 - each call saved counts
        """Let an actor handle some messages. The hot path: it calls as little as it can."""
        actor = mailbox.actor
        if actor is None or mailbox.suspended:
            mailbox.scheduled = False
            return
        handlers = actor.handlers
        for _ in range(self._throughput):
            if mailbox.system:
                envelope = mailbox.system.popleft()
            elif mailbox.data and not mailbox.held:
                envelope = mailbox.data.popleft()
            else:
                break
            actor._envelope = envelope
            try:
                handler = handlers.get(type(envelope.message))
                if handler is None:
                    answer = actor._handle_receive(envelope.message)
                else:
                    answer = handler(actor, envelope.message)
            except BaseException as error:  # noqa: BLE001 - the actor's boundary
                self._raised(mailbox, envelope, error)
            else:
                if type(answer) is CoroutineType:
                    self._handle_async(mailbox, envelope, answer)
                elif envelope.reply_to is not None:
                    envelope.reply_to.set(answer)
            if mailbox.stopped or mailbox.suspended:
                mailbox.scheduled = False
                return
        actor._envelope = None
        if actor.batches:
            self._end_turn(mailbox, actor)
        mailbox.scheduled = False
        if mailbox.system or mailbox.data:
            self.reschedule(mailbox)
        else:
            mailbox.system = mailbox.data = None

    def _raised(self, mailbox: Mailbox, envelope: Envelope[Any], error: BaseException) -> None:
        if isinstance(error, Exception):
            self._failed(mailbox, envelope, error)
        else:
            self._perish(mailbox, envelope, error)
            raise error

    def _end_turn(self, mailbox: Mailbox, actor: LoopActor) -> None:
        try:
            actor.on_turn_end()
        except Exception as error:  # noqa: BLE001 - the actor's boundary
            self._crash(mailbox, error)

    def _handle_async(
        self, mailbox: Mailbox, envelope: Envelope[Any], coroutine: Coroutine[Any, Any, Any]
    ) -> None:
        actor, task = mailbox.actor, self.loop.create_task(coroutine)
        mailbox.task, mailbox.held = task, True

        def done(task: asyncio.Task[Any]) -> None:
            if mailbox.task is task:
                mailbox.task, mailbox.held = None, mailbox.paused
            in_charge = mailbox.actor is actor and not mailbox.suspended
            self._finish_async(mailbox, envelope, task, in_charge=in_charge)
            self.reschedule(mailbox)

        task.add_done_callback(done)

    def _finish_async(
        self,
        mailbox: Mailbox,
        envelope: Envelope[Any],
        task: asyncio.Task[Any],
        *,
        in_charge: bool,
    ) -> None:
        if task.cancelled():
            error: BaseException | None = pykka.ActorDeadError(
                f"{mailbox} was cancelled while it handled the message"
            )
        else:
            error = task.exception()
        if error is None:
            if envelope.reply_to is not None:
                envelope.reply_to.set(task.result())
        elif not isinstance(error, Exception):
            self._perish(mailbox, envelope, error)
        elif in_charge:
            self._failed(mailbox, envelope, error)
        elif envelope.reply_to is not None:  # stopped, crashed or revived: only the asker cares
            envelope.reply_to.set_exception(error)  # type: ignore[arg-type]

    def reschedule(self, mailbox: Mailbox) -> None:
        """Give the actor a turn if there is something it may handle."""
        if mailbox.scheduled or mailbox.stopped or mailbox.suspended or not mailbox.ready():
            return
        mailbox.scheduled = True
        self._ready.append(mailbox)
        if not self._awake:
            self._awake = True
            self.loop.call_soon(self._drain, context=self._context)

    def resume(self, mailbox: Mailbox) -> None:
        """Let data messages be handled again."""
        mailbox.paused = False
        mailbox.held = mailbox.task is not None
        self.reschedule(mailbox)

    # Time and tasks.

    def after(self, delay: float, ref: LoopRef[Any], message: Any) -> asyncio.TimerHandle:
        """Send `message` in `delay` seconds of the loop's time, unless cancelled."""
        return self.loop.call_later(delay, ref.send, message, context=self._context)

    def now(self) -> float:
        """The loop's time in seconds; only differences mean something."""
        return self.loop.time()

    def run(
        self,
        work: Coroutine[Any, Any, T],
        done: Callable[[asyncio.Task[T]], None],
        name: str,
    ) -> asyncio.Task[T]:
        """Run a coroutine beside the actors, in a context of its own.

        Args:
            work: the coroutine.
            done: called on the loop when it has ended.
            name: the task's name.

        """
        task = self.loop.create_task(work, name=name, context=self._context.copy())

        def ended(task: asyncio.Task[T]) -> None:
            self._tasks.pop(task, None)
            done(task)

        self._tasks[task] = None
        task.add_done_callback(ended, context=self._context)
        return task

    @property
    def tasks(self) -> int:
        """How many tasks run beside the actors."""
        return len(self._tasks)

    def close(self) -> list[asyncio.Task[Any]]:
        """Stop every actor, newest first; cancel every task; take nothing more. Idempotent.

        Returns:
            the async handlers that were cancelled, and have still to notice.

        """
        self.closed = True
        self._inbound.take()
        mailboxes = list(reversed(self._mailboxes.values()))
        handlers = [mailbox.task for mailbox in mailboxes if mailbox.task is not None]
        for mailbox in mailboxes:
            self.stop_now(mailbox)
        self._inbound.bounce()
        for task in tuple(self._tasks):
            task.cancel()
        return handlers
