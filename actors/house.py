"""One runtime's actors: how they are brought up, asked, drained and taken down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pykka
import structlog

from ..domain.errors import ActorCrashed, CallboardError, RuntimeClosed, ThreadNotFound
from ..domain.identifiers import SLOTS, Slot
from ..domain.store_errors import StoreUnavailable
from ..domain.supervision import SupervisionEvent, SupervisionEventType
from ..domain.views import FramePage
from ..kernel import Kernel, KernelOptions, LoopRef
from ..observers import (
    CaughtUp,
    Cursor,
    JournalActor,
    ObserverActor,
    ObserverBinding,
    RequiredObserverActor,
    StreamActor,
)
from ..store.ports import Store
from .agents import Agents
from .draining import Draining
from .executors import Workers
from .keeper import KeeperActor
from .messages import Activate, AddObserver, RemoveObserver, Wait
from .reader import FrameReader
from .recovery import Recovery
from .supervisor import SupervisorActor
from .wiring import Registry, Settings, Wiring, ended

_log = structlog.get_logger("callboard.runtime")

Hosting = KernelOptions | Callable[[], Kernel] | None
"""How a kernel is set up, or what makes one."""

_PATIENCE = 5.0
"""Seconds a closing runtime waits for observers."""


class House:
    """The actors of one runtime, while it is open. Made with `House.open`."""

    def __init__(self, wiring: Wiring, supervisor: SupervisorActor) -> None:
        self.wiring = wiring
        self.supervisor = supervisor
        self.kernel = wiring.kernel
        self.registry = wiring.registry
        self.reader = FrameReader(wiring)
        self._recovery = Recovery(wiring)
        self._draining = Draining(wiring)
        self.failure: BaseException | None = None
        """What a vital actor failed with."""
        self.listeners: list[asyncio.Queue[SupervisionEvent | None]] = []
        self._observers: dict[str, LoopRef[Any]] = {}
        self._taking_up: asyncio.Task[None] | None = None
        """Brings threads with runs left into memory."""

    @classmethod
    async def open(
        cls,
        store: Store,
        settings: Settings,
        agents: Agents,
        workers: Workers,
        hosting: Hosting = None,
        slots: Iterable[int] | None = None,
    ) -> House:
        """Open the store, claim slots, and start the actors on the running loop.

        Raises:
            StoreUnusable: the store cannot be opened, or another process owns it.

        """
        epochs, head = await _opened(store, slots)
        kernel = hosting() if callable(hosting) else Kernel(hosting)
        houses: list[House] = []
        supervisor = kernel.spawn(
            SupervisorActor,
            lambda event: houses[0].publish(event),  # noqa: PLW0108 - there is none yet
            lambda cause: houses[0].collapse(cause),  # noqa: PLW0108
        )
        actor: Any = supervisor.actor_inbox.actor
        journal = kernel.spawn(JournalActor, store, supervisor, head, parent=actor)
        stream = _spawn_stream(kernel, journal, settings, actor)
        wiring = Wiring(
            kernel=kernel,
            store=store,
            agents=agents,
            workers=workers,
            registry=Registry(),
            settings=settings,
            epochs=epochs,
            journal=journal,
            stream=stream,
            supervisor=supervisor,
        )
        house = cls(wiring, actor)
        houses.append(house)
        actor.wire(wiring)
        actor.vital += [journal, stream]
        if store.heartbeat is not None:
            arguments = (store, epochs, supervisor, house.take_over)
            actor.vital.append(kernel.spawn(KeeperActor, *arguments, parent=actor))
        return house

    # The verbs of a RuntimeRef.

    async def ask(self, thread_id: str, message: Any) -> Any:
        """Have the thread's actor answer, bringing it into memory if need be.

        Raises:
            SlotNotOwned: the thread belongs to another process.
            RuntimeClosed: the runtime ended before the answer.
            ActorCrashed: the thread's actor failed for good before the answer.

        """
        self.wiring.fence(thread_id)  # is it ours?
        ref = self.registry.threads.get(thread_id)
        if ref is None:
            future = self.wiring.supervisor.request(Activate(thread_id, message))
        else:
            future = ref.request(message)
        try:
            return await future
        except pykka.ActorDeadError as error:
            raise self._explained(error, f"Thread '{thread_id}'") from error

    def tell(self, thread_id: str, message: Any) -> None:
        """Tell the thread's actor something, behind what it was told before."""
        ref = self.registry.threads.get(thread_id)
        if ref is None:
            self.wiring.supervisor.send(Activate(thread_id, message))
        else:
            ref.send(message)

    async def ask_run(self, run_id: str, message: Any) -> Any:
        """Have the run's actor answer.

        Raises:
            pykka.ActorDeadError: the run is not in memory, or has just left it.

        """
        ref = self.registry.runs.get(run_id)
        if ref is None:
            raise pykka.ActorDeadError(f"run {run_id} is not in memory")
        return await ref.request(message)

    async def read(self, run_id: str, after: int, limit: int, wait: float) -> FramePage:
        """A page of the run's frames.

        Raises:
            RunNotFound: there is no such run.
            RuntimeClosed: the runtime ended before the answer.
            ActorCrashed: its thread's actor failed for good before the answer.

        """
        try:
            return await self.reader.read(run_id, after, limit, wait)
        except pykka.ActorDeadError as error:
            raise self._explained(error, f"The thread of run '{run_id}'") from error

    def _explained(self, error: pykka.ActorDeadError, what: str) -> CallboardError:
        """What the death of an actor means to who asked it."""
        cause = error.__cause__
        if self.kernel.closed:
            return self.closed_error()
        if not self.wiring.complete:  # it is about to be closed
            return ended(cause)
        if isinstance(cause, StoreUnavailable | ThreadNotFound):
            return cause
        return ActorCrashed(what, "it stopped")

    def closed_error(self) -> RuntimeClosed:
        """Why nothing answers."""
        return ended(self.failure)

    # Recovery.

    async def recover(self) -> tuple[str, ...]:
        """Settle the orphans there are, and begin to queue the other runs again.

        Returns:
            the ids of those runs.

        """
        return await self._recover(self.wiring.epochs)

    async def take_over(self, slots: frozenset[Slot]) -> None:
        """Become the owner of slots, and recover their runs.

        Raises:
            StoreOwned: somebody else was first.

        """
        epochs = dict.fromkeys(slots, await self.wiring.store.claim(slots))
        await self._recover(epochs)
        _log.warning("slots_taken_over", slots=len(slots))
        at, kind = self.kernel.clock.now(), SupervisionEventType.SLOTS_TAKEN_OVER
        self.publish(SupervisionEvent(type=kind, at=at, detail={"slots": len(slots)}))

    async def _recover(self, epochs: Mapping[Slot, int]) -> tuple[str, ...]:
        found, threads = await self._recovery.sweep(epochs)
        # From here on callers are let in, and find the threads as they are now.
        self.wiring.epochs.update(epochs)
        if threads:
            taking_up = self._recovery.take_up(threads)
            self._taking_up = self.kernel.run(taking_up, lambda _: None, "callboard recovery")
        return tuple(found)

    # Observers.

    def observe(self, binding: ObserverBinding, replay: bool, durable: bool) -> None:
        """Tell an observer of everything stored from now on.

        Args:
            binding: the observer.
            replay: tell it what is in the log first.
            durable: remember under its name how far it was told, and go on from there.

        """
        name = str(binding.name)
        cursor = Cursor(0 if replay else None, durable=durable)
        wiring = self.wiring
        arguments = (name, binding, cursor, wiring.store.events, wiring.journal, wiring.supervisor)
        kind = RequiredObserverActor if binding.required else ObserverActor
        ref: LoopRef[Any] = self.kernel.spawn(kind, *arguments, parent=self.supervisor)
        self._observers[name] = ref
        wiring.supervisor.send(AddObserver(name, ref, cursor, arguments))

    def forget_observer(self, name: str) -> None:
        """Tell it nothing more."""
        if self._observers.pop(name, None) is not None:
            self.wiring.supervisor.send(RemoveObserver(name))

    def publish(self, event: SupervisionEvent) -> None:
        """Hand a supervision event to everybody who listens; the slow lose the oldest."""
        for queue in self.listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    # The end.

    async def drain(self, timeout: float, *, abort: bool = True) -> tuple[str, ...]:
        """Admit nothing more, let runs finish, then abort what remains; see `Draining`."""
        if self._taking_up is not None:
            self._taking_up.cancel()
        return await self._draining.drain(timeout, abort=abort)

    async def wait_for(self, run_ids: tuple[str, ...]) -> None:
        """Wait until these runs have ended.

        Raises:
            RuntimeClosed: the runtime ended before they did.
            ActorCrashed: the actor of one of them failed for good.

        """
        await asyncio.gather(*map(self._wait_for_run, run_ids))

    async def _wait_for_run(self, run_id: str) -> None:
        ref = self.registry.runs.get(run_id)
        try:
            if ref is not None:
                await ref.request(Wait())
        except pykka.ActorDeadError as error:
            if not self.kernel.closed:
                run = await self.wiring.store.runs.get(run_id)
                if run is None or run.status.is_terminal:
                    return  # it ended before it could answer, and may be deleted by now
            raise self._explained(error, f"Run '{run_id}'") from error

    async def close(self) -> None:
        """Store and tell what is still under way, then stop every actor."""
        await self._draining.stored()
        told = [ref.request(CaughtUp()) for ref in self._observers.values() if ref.is_alive()]
        if told:
            await asyncio.wait(told, timeout=_PATIENCE)
        handlers = self.take_down()
        if handlers:  # one may be an observer, which does as it likes
            await asyncio.wait(handlers, timeout=_PATIENCE)
        await self.wiring.store.close()

    def take_down(self) -> list[asyncio.Task[Any]]:
        """Stop every actor at once. Returns the handlers that have still to notice."""
        self.registry.closing = True
        handlers = self.kernel.close()
        self.wiring.workers.close()
        for queue in self.listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
        self.listeners.clear()
        return handlers

    def collapse(self, cause: BaseException) -> None:
        """A vital actor has failed: end everything; what is in flight stays recoverable."""
        if self.failure is None:
            self.failure = cause
            _log.error("runtime_failed", error=repr(cause), exc_info=cause)
            self.kernel.loop.call_soon(self.take_down)


async def _opened(store: Store, slots: Iterable[int] | None) -> tuple[dict[Slot, int], int]:
    """Open a store and claim slots. Returns their epochs, and the head of the log."""
    wanted = [Slot(slot) for slot in (range(SLOTS) if slots is None else slots)]
    await store.open()
    try:
        return dict.fromkeys(wanted, await store.claim(wanted)), await store.events.head()
    except BaseException:
        await store.close()
        raise


def _spawn_stream(
    kernel: Kernel, journal: LoopRef[Any], settings: Settings, parent: Any
) -> LoopRef[Any]:
    return kernel.spawn(
        StreamActor,
        journal,
        buffer_frames=settings.buffer_frames,
        keep_ended=settings.keep_streams,
        keep_seconds=settings.keep_stream_seconds,
        parent=parent,
    )
