"""What a runtime is equipped with, and how it begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from ..domain.commands import check_count, check_flag, check_many, check_seconds, check_text
from ..domain.errors import InvalidValue, RuntimeClosed, RuntimeStarted, WrongLoop
from ..domain.identifiers import SLOTS
from ..domain.policies import RestartPolicy
from ..kernel import KernelOptions
from ..observers import ObserverBinding, ensure_observer
from ..store import MemoryStore
from ..store.entries import Pruned
from ..store.graph_checkpoints import KeepsGraphs
from ..store.ports import Prunable, Store
from .agents import Agents
from .control import SupervisorControl
from .directory import Directory, LocalDirectory
from .executors import Workers
from .handles import Observation
from .house import House
from .reads import Reads
from .wiring import Settings

if TYPE_CHECKING:
    from .house import Hosting


class Bound(NamedTuple):
    """An observer, and where it begins; see `House.observe`."""

    binding: ObserverBinding
    replay: bool
    durable: bool


class Lifecycle(Reads):
    """The part of `Runtime` that takes agents and observers, starts, drains and closes."""

    def __init__(
        self,
        agents: Mapping[str, Any] | None = None,
        store: Store | str | None = None,
        *,
        durability: Literal["full", "process"] = "full",
        slots: Iterable[int] | None = None,
        restart: RestartPolicy | None = None,
        abort_grace: float = 30.0,
        drain_timeout: float = 30.0,
        max_queued_runs: int = 1000,
        passivate_after: float = 60.0,
        settings: Settings | None = None,
        kernel: Hosting = None,
    ) -> None:
        _check_equipment(settings, kernel)
        self._settings = settings or Settings(
            abort_grace=abort_grace,
            drain_timeout=drain_timeout,
            max_queued_runs=max_queued_runs,
            passivate_after=passivate_after,
        )
        self._store = open_store(store, durability)
        self._slots = None if slots is None else _checked_slots(slots)
        self._hosting = kernel
        self._workers = Workers(self._settings.max_workers)
        kept = self._store.graph_checkpoints if isinstance(self._store, KeepsGraphs) else None
        policy = RestartPolicy() if restart is None else restart
        self._agents = Agents(policy, self._workers, kept)
        self._agents.register_all({} if agents is None else agents)
        self._bindings: list[Bound] = []
        self._names = (f"observer-{number}" for number in count(1))
        """For observers without one; none is given twice."""
        self._directory: Directory | None = None
        self._house: House | None = None
        self._state = "not started"
        self._closing: asyncio.Event | None = None
        """Somebody closes it, and is through with that."""
        self.supervisor = SupervisorControl(self._open_house, lambda: self.state)
        """The supervision tree, and how to interfere with it."""

    @property
    def agents(self) -> Agents:
        """The agents that are registered."""
        return self._agents

    @property
    def settings(self) -> Settings:
        """The numbers it was given."""
        return self._settings

    @property
    def state(self) -> str:
        """`not started`, `starting`, `running`, `draining`, `closed`, `failed`, `dead`."""
        house = self._house
        if house is None or self._state == "closed":
            return self._state
        if house.failure is not None:
            return "failed"
        if house.kernel.loop.is_closed():
            return "dead"
        return "draining" if house.registry.closing else self._state

    # Agents and observers.

    def register(self, name: str, agent: Any, restart: RestartPolicy | None = None) -> None:
        """Register an agent, or another one under the same name.

        Args:
            name: its `assistant_id`.
            agent: an async generator, coroutine or plain function that takes the run, a
                LangGraph graph, or an `Executor`.
            restart: when its failed attempts are tried again.

        Raises:
            InvalidValue: it is nothing that can be driven, or no policy.

        """
        self._agents.register(name, agent, restart)

    def observe(
        self,
        observer: Any,
        required: bool = False,
        name: str | None = None,
        *,
        replay: bool = False,
    ) -> Observation:
        """Tell an observer of every lifecycle event that is stored from now on.

        Args:
            observer: an observer, or a sync or async callable that takes the event.
            required: runs wait for it, and fail if it raises.
            name: for the supervision tree. How far an observer with a name was told is
                stored: under the same name it goes on from there, in another process too,
                and hears again at most the events of the last second before a crash.
            replay: tell it what is in the log first, if it does not go on from somewhere.

        Raises:
            InvalidValue: it is no observer, or the name is taken.

        """
        if name is not None:
            check_text(name, "name")
        check_flag(required, "required")
        check_flag(replay, "replay")
        taken = {bound.binding.name for bound in self._bindings}
        if name is not None and name in taken:
            raise InvalidValue("name", name, "choose one that no other observer has")
        free = name or next(name for name in self._names if name not in taken)
        known = Bound(
            ObserverBinding(ensure_observer(observer), required=required, name=free),
            replay=replay,
            durable=name is not None,
        )
        if self._house is not None:
            self._open_house().observe(*known)
        self._bindings.append(known)
        return Observation(self, free)

    def forget_observer(self, name: str) -> None:
        """Tell the observer of that name nothing more. Idempotent."""
        self._bindings = [bound for bound in self._bindings if bound.binding.name != name]
        if self._house is not None:
            self._house.forget_observer(name)

    # Its beginning and its end.

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(0.0 if error is not None else None)

    async def start(self) -> None:
        """Start on the running event loop, and take up what the store has in flight.

        Raises:
            RuntimeStarted: it was started before.
            RuntimeClosed: it was closed; make a new one.

        """
        if self._state == "closed":
            raise RuntimeClosed("closed", "make a new one")
        if self._state != "not started":
            raise RuntimeStarted
        self._state = "starting"
        try:
            house = await House.open(
                self._store,
                self._settings,
                self._agents,
                self._workers,
                self._hosting,
                self._slots,
            )
        except BaseException:
            self._state = "not started"
            raise
        self._house, self._directory = house, LocalDirectory(house)
        for bound in self._bindings:
            house.observe(*bound)
        try:
            await house.recover()
        except BaseException:
            self._state = "closed"
            await house.close()
            raise
        self._state = "running"  # not before: an orphan is not to be found by a caller first

    async def drain(self, timeout: float | None = None) -> tuple[str, ...]:
        """Admit nothing more, let runs finish, then abort what remains.

        Args:
            timeout: seconds to let them finish; `None` takes `drain_timeout`.

        Returns:
            the ids of the runs that had to be aborted.

        """
        seconds = self._settings.drain_timeout if timeout is None else timeout
        return await self._open_house().drain(check_seconds(seconds, "timeout"))

    async def aclose(self, timeout: float | None = None, *, hand_over: bool = False) -> None:
        """Drain, then end everything. Idempotent: who comes second waits for the first.

        Args:
            timeout: as for `drain`.
            hand_over: leave the runs that have not finished by then to whoever opens the
                store next: they stay in flight, as if the process had died. Their agents
                get `abort_grace` to unwind.

        Raises:
            InvalidValue: the timeout cannot be used.
            WrongLoop: it was started on another event loop.

        """
        seconds = self._settings.drain_timeout if timeout is None else timeout
        check_seconds(seconds, "timeout")
        house, state = self._house, self.state
        if house is None or state not in ("running", "draining", "failed", "closed"):
            self._state = "closed"
            return
        _check_loop(house)
        if self._closing is not None:
            await self._closing.wait()
        elif state != "closed":
            self._closing = asyncio.Event()
            await self._close(house, seconds, hand_over=hand_over)

    async def _close(self, house: House, timeout: float, *, hand_over: bool) -> None:
        try:
            if self.state != "failed":
                await house.drain(timeout, abort=not hand_over)
        finally:
            self._state = "closed"
            try:
                await house.close()
            finally:
                if self._closing is not None:
                    self._closing.set()

    async def prune(
        self, *, older_than: float | None = None, keep_per_thread: int | None = None
    ) -> Pruned:
        """Delete ended runs, with their records and events, while others go on.

        Args:
            older_than: those that ended so many seconds ago.
            keep_per_thread: all but the last so many of each thread.

        Returns:
            what was deleted.

        Raises:
            InvalidValue: neither is given, a number cannot be used, or the store keeps
                everything as long as it lives.

        """
        if older_than is None and keep_per_thread is None:
            raise InvalidValue("older_than", None, "give it, or keep_per_thread, or both")
        if keep_per_thread is not None:
            check_count(keep_per_thread, "keep_per_thread")
        before = None
        if older_than is not None:
            age = timedelta(seconds=check_seconds(older_than, "older_than"))
            before = self._open_house().kernel.clock.now() - age
        store = self._open_house().wiring.store
        if not isinstance(store, Prunable):
            raise InvalidValue("store", store, "give the runtime a store that can be pruned")
        return await store.prune(before=before, keep=keep_per_thread)

    def _open_house(self) -> House:
        house, state = self._house, self.state
        if house is None or state not in ("running", "draining"):
            if house is not None and house.failure is not None:
                raise house.closed_error()
            if state == "dead":
                raise RuntimeClosed("dead, its event loop has closed", "make a new one")
            raise RuntimeClosed(state)
        _check_loop(house)
        return house


def _check_loop(house: House) -> None:
    try:
        here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is not house.kernel.loop:
        raise WrongLoop


def open_store(store: Store | str | None, durability: Literal["full", "process"]) -> Store:
    """The store that a host names.

    Args:
        store: a store object, a URL, or `None` for memory.
        durability: for a URL.

    Raises:
        InvalidValue: it is none of these, the URL cannot be used, or the durability is none.

    """
    if durability not in ("full", "process"):
        raise InvalidValue("durability", durability, "give 'full' or 'process'")
    if store is None:
        return MemoryStore()
    if isinstance(store, str):
        from ..store.sql import SqlStore  # noqa: PLC0415 - who keeps runs in memory needs no SQL

        return SqlStore(store, durability=durability)
    if not isinstance(store, Store):
        raise InvalidValue("store", store, "give a store object, a URL, or None for memory")
    return store


def _checked_slots(slots: Iterable[int]) -> tuple[int, ...]:
    chosen = check_many(slots, "slots")
    for slot in chosen:
        if isinstance(slot, bool) or not isinstance(slot, int) or not 0 <= slot < SLOTS:
            raise InvalidValue("slots", slot, f"give whole numbers from 0 to {SLOTS - 1}")
    return tuple(sorted(set(chosen)))


def _check_equipment(settings: object, kernel: object) -> None:
    if settings is not None and not isinstance(settings, Settings):
        raise InvalidValue("settings", settings, "give Settings(...), or None for the defaults")
    if kernel is not None and not isinstance(kernel, KernelOptions) and not callable(kernel):
        raise InvalidValue("kernel", kernel, "give KernelOptions(...), or what makes a kernel")
