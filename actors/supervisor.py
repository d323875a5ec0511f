"""The supervisor actor: owns the threads, and decides what happens when something fails."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from ..domain.enums import StopReason
from ..domain.errors import Fenced, RuntimeClosed, UnknownAgent
from ..domain.payload import JSON
from ..domain.store_errors import StoreUnavailable
from ..domain.supervision import SupervisionEvent, SupervisionEventType
from ..kernel import Crashed, LoopActor, LoopRef, Terminated, handles
from ..observers import (
    Observed,
    ObserverFailed,
    ObserverGone,
    OwnershipLost,
    StoreTrouble,
    ToldUpTo,
)
from .messages import (
    Activate,
    AddObserver,
    AttemptAbandoned,
    AttemptFailed,
    FailRun,
    Passivate,
    Ping,
    Quarantine,
    RemoveObserver,
    RestartRun,
    RunCrashed,
    ThreadGone,
    ThreadIdle,
)
from .settlement import error_text
from .thread import ThreadActor

if TYPE_CHECKING:
    from .wiring import Wiring

_log = structlog.get_logger("callboard.supervisor")


class _Sweep(NamedTuple):
    """Look for threads that have been idle long enough."""


class _ReviveObserver(NamedTuple):
    name: str


class _GhostEnded(NamedTuple):
    run_id: str
    thread_id: str
    task: asyncio.Task[Any]


class CrashWindow:
    """Intensity and period, as Erlang/OTP has them.

    Args:
        limit: crashes allowed in the period.
        seconds: the period.

    """

    __slots__ = ("_limit", "_seconds", "_times")

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._times)

    def exceeded(self, now: float) -> bool:
        """Note a crash. Returns whether it is one too many."""
        self._times.append(now)
        while self._times and now - self._times[0] >= self._seconds:
            self._times.popleft()
        return len(self._times) > self._limit


class SupervisorActor(LoopActor):
    """Restarts, fails, quarantines, and says so.

    It is made before the actors it talks to; `wire` completes it.

    Args:
        publish: is called with every supervision event.
        escalate: is called when a vital actor has failed, or ownership is lost.

    """

    def __init__(
        self,
        publish: Callable[[SupervisionEvent], None],
        escalate: Callable[[BaseException], None],
    ) -> None:
        self._publish_event = publish
        self._escalate = escalate
        self._wiring: Wiring
        self.vital: list[LoopRef[Any]] = []
        """Without these the runtime ends."""
        self._idle: OrderedDict[str, float] = OrderedDict()
        """Threads with nothing in flight, and since when; longest first."""
        self._thread_crashes: dict[str, CrashWindow] = {}
        self.quarantined: dict[str, str] = {}
        """Threads whose actor failed too often, and its last failure."""
        self.observers: dict[str, AddObserver] = {}
        self._observer_crashes: dict[str, CrashWindow] = {}
        self.ghosts: set[asyncio.Task[Any]] = set()
        """Fenced agents whose code still executes."""
        self._store_troubles: dict[str, str] = {}
        """What is the matter with the store, by who noticed."""

    def wire(self, wiring: Wiring) -> None:
        """Say whom to talk to, before the first message."""
        self._wiring = wiring
        self._sweep_later()

    def on_failure(self, _: Any, error: BaseException | None, __: Any) -> None:
        """Nobody is above the supervisor: the runtime ends."""
        if error is not None:
            self._fail_runtime(error)

    # Threads.

    @handles(Activate)
    def _activate(self, message: Activate) -> None:
        registry, thread_id = self._wiring.registry, message.thread_id
        ref = registry.threads.get(thread_id)
        if ref is None and registry.closing:  # what is not in memory is not begun any more
            if (reply := self.defer()) is not None:
                reply.set_exception(RuntimeClosed("closing", "ask one that goes on"))
            return
        if ref is None:
            quarantine = self.quarantined.get(thread_id)
            ref = self.kernel.spawn(
                ThreadActor, self._wiring, thread_id, None, quarantine, parent=self
            )
            registry.threads[thread_id] = ref
        self.forward(ref, message.message)

    @handles(Ping)
    def _pong(self, _: Ping) -> None:
        """Answering is all."""

    @handles(ThreadIdle)
    def _thread_idle(self, message: ThreadIdle) -> None:
        self._idle[message.thread_id] = self.kernel.now()
        self._idle.move_to_end(message.thread_id)

    @handles(ThreadGone)
    def _thread_gone(self, message: ThreadGone) -> None:
        self._idle.pop(message.thread_id, None)

    def _sweep_later(self) -> None:
        seconds = max(0.05, self._wiring.settings.passivate_after / 4)
        self.kernel.after(seconds, self.actor_ref, _Sweep())

    @handles(_Sweep)
    def _sweep(self, _: _Sweep) -> None:
        horizon = self.kernel.now() - self._wiring.settings.passivate_after
        while self._idle:
            thread_id, since = next(iter(self._idle.items()))
            if since > horizon:
                break
            del self._idle[thread_id]
            ref = self._wiring.registry.threads.get(thread_id)
            if ref is not None:
                ref.send(Passivate())
        self._sweep_later()

    # Failures of agents.

    @handles(AttemptFailed)
    def _attempt_failed(self, message: AttemptFailed) -> None:
        error = error_text(message.error)
        self._publish(
            SupervisionEventType.ATTEMPT_FAILED,
            message.thread_id,
            message.run_id,
            error,
            attempt=message.attempt,
        )
        run = self._wiring.registry.runs.get(message.run_id)
        if run is not None:
            run.send(self._decide(message, error))

    def _decide(self, message: AttemptFailed, error: str) -> RestartRun | FailRun:
        ids = (message.thread_id, message.run_id, error)
        try:
            policy = self._wiring.agents.policy(message.assistant_id)
        except UnknownAgent:
            return FailRun(error, None)
        if not policy.covers(message.error) or policy.max_restarts == 0:
            return FailRun(error, None)
        if not policy.allows(message.restarts, self.kernel.now()):
            restarts = len(message.restarts)
            self._publish(SupervisionEventType.RESTART_LIMIT_REACHED, *ids, restarts=restarts)
            return FailRun(error, StopReason.RESTART_LIMIT)
        delay = policy.delay(len(message.restarts) + 1, self.kernel.entropy.chance())
        attempt = message.attempt + 1
        self._publish(SupervisionEventType.ATTEMPT_RESTARTED, *ids, attempt=attempt, delay=delay)
        return RestartRun(delay, error)

    @handles(AttemptAbandoned)
    def _attempt_abandoned(self, message: AttemptAbandoned) -> None:
        ghost, ref = message.task, self.actor_ref
        ids = (message.thread_id, message.run_id)
        self._publish(SupervisionEventType.ATTEMPT_ABANDONED, *ids)
        self.ghosts.add(ghost)
        ghost.add_done_callback(lambda task: ref.send(_GhostEnded(ids[1], ids[0], task)))

    @handles(_GhostEnded)
    def _ghost_ended(self, message: _GhostEnded) -> None:
        self.ghosts.discard(message.task)
        self._publish(SupervisionEventType.GHOST_ENDED, message.thread_id, message.run_id)

    # Failures of actors.

    @handles(RunCrashed)
    def _run_crashed(self, message: RunCrashed) -> None:
        self._publish(
            SupervisionEventType.RUN_ACTOR_CRASHED,
            message.thread_id,
            message.run_id,
            error_text(message.error),
        )

    @handles(Crashed, system=True)
    def _child_crashed(self, message: Crashed) -> None:
        for thread_id, ref in self._wiring.registry.threads.items():
            if ref == message.ref:
                self._thread_crashed(thread_id, message)
                return
        for name, observer in self.observers.items():
            if observer.ref == message.ref:
                self._observer_crashed(name, observer, message.cause)
                return
        self.kernel.kill(message.ref, message.cause)

    def _thread_crashed(self, thread_id: str, message: Crashed) -> None:
        settings, error = self._wiring.settings, error_text(message.cause)
        if thread_id in self.quarantined:
            # It cannot even say that it is quarantined. The next message tries again.
            del self._wiring.registry.threads[thread_id]
            self.kernel.kill(message.ref, message.cause)
            return
        window = self._thread_crashes.setdefault(
            thread_id, CrashWindow(settings.crash_limit, settings.crash_window)
        )
        its_own = not isinstance(message.cause, StoreUnavailable)
        if its_own and window.exceeded(self.kernel.now()):
            self.quarantined[thread_id] = error
            self._publish(SupervisionEventType.THREAD_QUARANTINED, thread_id, None, error)
        else:
            self._publish(SupervisionEventType.THREAD_RESTARTED, thread_id, None, error)
        self.kernel.revive(
            message.ref,
            self._wiring,
            thread_id,
            message.cause,
            self.quarantined.get(thread_id),
        )

    def restarts_of(self, thread_id: str) -> int:
        """How often a thread's actor was restarted within the window."""
        return len(self._thread_crashes.get(thread_id, ()))

    @handles(Quarantine)
    def _lift_quarantines(self, _: Quarantine) -> tuple[str, ...]:
        lifted = tuple(self.quarantined)
        for thread_id in lifted:
            del self.quarantined[thread_id]
            self._thread_crashes.pop(thread_id, None)
            ref = self._wiring.registry.threads.get(thread_id)
            if ref is not None:
                ref.send(Quarantine(None))
            self._publish(SupervisionEventType.THREAD_RECOVERED, thread_id)
        return lifted

    @handles(Terminated, system=True)
    def _child_terminated(self, message: Terminated) -> None:
        if message.cause is not None and message.ref in self.vital:
            self._fail_runtime(message.cause)

    @handles(OwnershipLost, system=True)
    def _ownership_lost(self, message: OwnershipLost) -> None:
        self._fail_runtime(Fenced(f"This runtime must end: {message.reason}."))

    def _fail_runtime(self, cause: BaseException) -> None:
        self._publish(SupervisionEventType.ESCALATED, error=error_text(cause))
        self._escalate(cause)

    @handles(StoreTrouble)
    def _store_trouble(self, message: StoreTrouble) -> None:
        if message.error is not None:
            self._store_troubles[message.noticed_by] = message.error
            self._publish(SupervisionEventType.STORE_FAILED, error=message.error)
        elif self._store_troubles.pop(message.noticed_by, None) and not self._store_troubles:
            self._publish(SupervisionEventType.STORE_RECOVERED)

    @property
    def store_trouble(self) -> str | None:
        """What is the matter with the store, or `None`."""
        return next(iter(self._store_troubles.values()), None)

    # Observers. In the system lane: one that fails at once is known by then.

    @handles(AddObserver, system=True)
    def _add_observer(self, message: AddObserver) -> None:
        settings = self._wiring.settings
        self.observers[message.name] = message
        window = CrashWindow(settings.crash_limit, settings.crash_window)
        self._observer_crashes[message.name] = window

    @handles(RemoveObserver, system=True)
    def _remove_observer(self, message: RemoveObserver) -> bool:
        observer = self.observers.pop(message.name, None)
        if observer is None:
            return False
        self._observer_crashes.pop(message.name, None)
        self.kernel.kill(observer.ref)
        self._tell_runs(ObserverGone(message.name))
        return True

    def _tell_runs(self, message: ObserverGone | ToldUpTo) -> None:
        for run in self._wiring.registry.runs.values():
            run.send(message)

    @handles(ToldUpTo, system=True)
    def _observer_stands(self, message: ToldUpTo) -> None:
        self._tell_runs(message)

    @handles(Observed, system=True)
    def _observed(self, message: Observed) -> None:
        """A required observer has caught up: its run may be waiting for that."""
        run = self._wiring.registry.runs.get(message.event.run_id)
        if run is not None:
            run.send(message)

    @handles(ObserverFailed)
    def _observer_failed(self, message: ObserverFailed) -> None:
        event, error = message.event, error_text(message.error)
        self._publish(
            SupervisionEventType.OBSERVER_FAILED,
            event.thread_id,
            event.run_id,
            error,
            observer=message.name,
            event_type=event.event_type,
        )

    def _observer_crashed(self, name: str, observer: AddObserver, cause: BaseException) -> None:
        error, window = error_text(cause), self._observer_crashes[name]
        its_own = not isinstance(cause, StoreUnavailable)
        if its_own and window.exceeded(self.kernel.now()):
            observer.cursor.suspended = cause
            self._publish(SupervisionEventType.OBSERVER_SUSPENDED, error=error, observer=name)
        else:
            self._publish(SupervisionEventType.OBSERVER_RESTARTED, error=error, observer=name)
        delay = min(5.0, 0.05 * 2.0 ** len(window))
        self.kernel.after(delay, self.actor_ref, _ReviveObserver(name))

    @handles(_ReviveObserver)
    def _revive_observer(self, message: _ReviveObserver) -> None:
        observer = self.observers.get(message.name)
        if observer is not None:
            self.kernel.revive(observer.ref, *observer.arguments)

    # Telling.

    def _publish(
        self,
        kind: SupervisionEventType,
        thread_id: str | None = None,
        run_id: str | None = None,
        error: str | None = None,
        **detail: JSON,
    ) -> None:
        event = SupervisionEvent(
            type=kind,
            at=self.kernel.clock.now(),
            thread_id=thread_id,
            run_id=run_id,
            error=error,
            detail=detail,
        )
        known = {"thread_id": thread_id, "run_id": run_id, "error": error, **detail}
        _log.warning(str(kind), **{key: value for key, value in known.items() if value is not None})
        self._publish_event(event)
