"""The runtime: what a host embeds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, Unpack

import pykka

from ..domain.commands import (
    NOW,
    CancelRunCommand,
    JoinRunStreamCommand,
    check_many,
    check_seconds,
    choice,
)
from ..domain.conflicts import RunInFlight
from ..domain.enums import IN_FLIGHT, CancelAction, RunStatus
from ..domain.errors import InvalidValue, RunNotFound, Unavailable
from ..domain.identifiers import RunId, ThreadId, slot_of, user
from ..domain.views import Frame, RunResult, RunSnapshot
from ..observers import Attach, Cleanup, Detach, LatestFrame, Write
from ..store.entries import Entry
from ..store.ports import Store
from .handles import RunStream
from .house import House
from .messages import Abort, Describe, Wait
from .options import RunOptions
from .reader import PAGE
from .run_creation import RunCreation

if TYPE_CHECKING:
    from .blocking import BlockingRuntime

HEARTBEAT = Frame(None, "heartbeat")
"""What a stream yields when nothing was published for a while."""


class Runtime(RunCreation):
    """Runs agents on conversation threads. An async context manager.

    All durations are seconds. Everything is called on the event loop the runtime was
    started on; `Runtime.blocking` is the same for hosts that have none.

    Args:
        agents: the agents by name; more with `register`.
        store: keeps runs and events: a URL (`sqlite+aiosqlite:///runs.db`,
            `postgresql+asyncpg://user@host/database`), a store object, or `None` for memory.
        durability: for a URL: what a commit survives. `full`: the loss of power. `process`:
            the death of the process; the loss of power may take the last commits, but never
            one amid others.
        slots: which of the 256 slots of threads this runtime owns; `None` is all of them.
        restart: when failed attempts are tried again, for agents that do not say.
        abort_grace: how long an aborted agent may take to unwind.
        drain_timeout: how long `aclose` lets runs finish.
        max_queued_runs: runs that may wait on one thread.
        passivate_after: how long an idle thread stays in memory.
        settings: all the numbers there are, instead of the last four.
        kernel: clock, chance and schedule, for tests and simulations.

    Raises:
        InvalidValue: an argument cannot be used.

    """

    @staticmethod
    def blocking(
        agents: Mapping[str, Any] | None = None, store: Store | str | None = None, **options: Any
    ) -> BlockingRuntime:
        """The same runtime for a host without an event loop: a context manager.

        Args:
            agents: as for `Runtime`.
            store: as for `Runtime`.
            options: as for `Runtime`.

        """
        from .blocking import BlockingRuntime  # noqa: PLC0415 - it stands on this class

        return BlockingRuntime(agents, store, **options)

    # Runs.

    async def create_and_wait(
        self, thread_id: str | None, assistant_id: str, **options: Unpack[RunOptions]
    ) -> RunResult:
        """Admit a run and wait for its end. Raises what `create_run` raises."""
        run = await self.create_run(thread_id, assistant_id, **options)
        return await self.wait(run.run_id)

    async def create_and_stream(
        self, thread_id: str | None, assistant_id: str, **options: Unpack[RunOptions]
    ) -> RunStream:
        """Admit a run to be streamed; `on_disconnect` defaults to `cancel`.

        Raises what `create_run` raises.
        """
        options.setdefault("on_disconnect", "cancel")
        run = await self.create_run(thread_id, assistant_id, **options)
        return RunStream(run=run, frames=self.stream(run.run_id))

    async def stream(
        self,
        run_id: str,
        last_event_id: str | None = None,
        heartbeat_interval: float = 15.0,
        *,
        user_id: str | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Follow a run's frames: each once, in order, from the start or after one of them.

        Args:
            run_id: the run; it may be pending, running or ended.
            last_event_id: the last frame seen; `None` begins with the first.
            heartbeat_interval: seconds without a frame after which a heartbeat comes.
            user_id: whose run.

        Raises:
            RunNotFound: there is no such run for this user.
            InvalidValue: an argument cannot be used.

        """
        pages = self.stream_pages(run_id, last_event_id, heartbeat_interval, user_id=user_id)
        async with aclosing(pages):
            async for frames in pages:
                for frame in frames:
                    yield frame
                if not frames:
                    yield HEARTBEAT

    async def stream_pages(
        self,
        run_id: str,
        last_event_id: str | None = None,
        heartbeat_interval: float = 15.0,
        *,
        user_id: str | None = None,
        consumes: bool = True,
    ) -> AsyncGenerator[tuple[Frame, ...], None]:
        """The same, in pages: the frames that there are together; an empty one is a heartbeat.

        Args:
            run_id: the run.
            last_event_id: the last frame seen; `"$"` begins behind the last there is.
            heartbeat_interval: seconds without a frame after which an empty page comes.
            user_id: whose run.
            consumes: count as one of the consumers whose leaving may abort the run.

        Raises:
            RunNotFound: there is no such run for this user.
            InvalidValue: an argument cannot be used.

        """
        command = JoinRunStreamCommand(
            run_id=RunId(run_id),
            last_event_id=last_event_id,
            user_id=user(user_id),
        )
        if check_seconds(heartbeat_interval, "heartbeat_interval") == 0:
            raise InvalidValue("heartbeat_interval", 0, "give more than 0 seconds")
        house = self._open_house()
        await self._check_user(house, command.run_id, command.user_id)
        after, end = command.after, False
        if consumes:
            house.wiring.stream.send(Attach(command.run_id))
        try:
            if command.last_event_id == NOW:
                after = await house.wiring.stream.request(LatestFrame(command.run_id))
            while not end:
                page = await house.read(command.run_id, after, PAGE, heartbeat_interval)
                after, end = page.next, page.end
                if page.frames or not end:
                    yield page.frames
        finally:
            if consumes:
                house.wiring.stream.send(Detach(command.run_id))

    async def wait(self, run_id: str, *, user_id: str | None = None) -> RunResult:
        """Wait for a run's end. Never raises for how it ended.

        Raises:
            RunNotFound: there is no such run for this user.

        """
        house, run_id = self._open_house(), RunId(run_id)
        await self._check_user(house, run_id, user_id)
        answer = await self._ask_live(house, run_id, Wait())
        return answer if isinstance(answer, RunResult) else RunResult.of(answer)

    def recall(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """The end of a run that left no record: one of the last thousand of this runtime."""
        run_id, asker = RunId(run_id), user(user_id)
        run = self._open_house().registry.gone.get(run_id)
        return run if run is not None and asker in (None, run.user_id) else None

    async def cancel(
        self,
        run_id: str,
        action: Literal["interrupt", "rollback"] | CancelAction = "interrupt",
        wait: bool = False,
        *,
        user_id: str | None = None,
    ) -> bool:
        """Abort a run.

        Args:
            run_id: the run.
            action: `interrupt` keeps what it did, `rollback` restores the state before it.
            wait: return when its agent has unwound and its end is stored, not at once.
            user_id: whose run.

        Returns:
            whether the abort ends it; `False` if it has ended, or is ending, otherwise.

        Raises:
            RunNotFound: there is no such run for this user.

        """
        command = CancelRunCommand(
            run_id=RunId(run_id),
            action=choice(CancelAction, action, "action"),
            wait=wait,
            user_id=user(user_id),
        )
        house = self._open_house()
        await self._check_user(house, command.run_id, command.user_id)
        abort = Abort(command.action, None, command.wait)
        answer = await self._ask_live(house, command.run_id, abort)
        return answer is True

    async def cancel_many(
        self,
        thread_id: str | None = None,
        run_ids: Sequence[str] | None = None,
        status: Literal["pending", "running", "all"] | None = None,
        action: Literal["interrupt", "rollback"] | CancelAction = "interrupt",
        *,
        user_id: str | None = None,
    ) -> tuple[str, ...]:
        """Abort the runs in flight that all given criteria name, and do not wait for them.

        Those of other processes that share the store are left alone.

        Returns:
            the ids of those that the abort ends.

        Raises:
            InvalidValue: no criterion is given, or one cannot be used.

        """
        if thread_id is None and run_ids is None and status is None:
            raise InvalidValue("status", None, "give a thread_id, run_ids or a status")
        wanted = choice(CancelAction, action, "action")
        thread = None if thread_id is None else ThreadId(thread_id)
        named = None if run_ids is None else {*map(RunId, check_many(run_ids, "run_ids"))}
        statuses = IN_FLIGHT if status in (None, "all") else {choice(RunStatus, status, "status")}
        wiring = self._open_house().wiring
        in_flight = await wiring.store.runs.list_inflight(user_id=user(user_id))
        chosen = [
            run.run_id
            for run in in_flight
            if slot_of(run.thread_id) in wiring.epochs
            and thread in (None, run.thread_id)
            and (named is None or run.run_id in named)
            and run.status in statuses
        ]
        aborted = [run_id for run_id in chosen if await self.cancel(run_id, wanted)]
        return tuple(aborted)

    async def delete_run(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete an ended run with its events and frames.

        Returns:
            whether there was one.

        Raises:
            RunInFlight: it has not ended.

        """
        house, run_id = self._open_house(), RunId(run_id)
        run = await house.wiring.store.runs.get(run_id, user_id=user(user_id))
        if run is None:
            return False
        if not run.status.is_terminal:
            raise RunInFlight(run_id)
        await self._ask_live(house, run_id, Wait())  # what is told of its end is on its way now
        house.wiring.stream.send(Cleanup(run_id, 0.0))
        entry = Entry(house.wiring.fence(run.thread_id), erase_run=run_id)
        await house.wiring.ask(house.wiring.journal, Write(entry, refusable=True))
        return True

    async def cleanup(self, run_id: str, delay: float = 0.0) -> None:
        """Free an ended run's frames in `delay` seconds, before they go by age or count."""
        seconds = check_seconds(delay, "delay")
        self._open_house().wiring.stream.send(Cleanup(RunId(run_id), seconds))

    @staticmethod
    async def _check_user(house: House, run_id: str, user_id: str | None) -> None:
        if user_id is not None:
            run = await house.wiring.store.runs.get(run_id, user_id=user(user_id))
            if run is None:
                raise RunNotFound(run_id)

    @staticmethod
    async def _ask_live(house: House, run_id: str, message: Any) -> Any:
        """The answer of the run's actor; the run's record if it has ended.

        A run in flight without an actor is one whose thread is not in memory.
        """
        for _ in range(2):
            try:
                return await house.ask_run(run_id, message)
            except pykka.ActorDeadError:
                if house.failure is not None or house.kernel.closed:
                    raise house.closed_error() from None
            run = await house.wiring.store.runs.get(run_id)
            run = run or house.registry.gone.get(run_id)
            if run is None:
                raise RunNotFound(run_id)
            if not run.status.is_terminal:
                await house.ask(run.thread_id, Describe())
            elif run_id not in house.registry.runs:  # else it says when that may be told
                return run
        raise Unavailable(f"Run '{run_id}' has no actor: call supervisor.recover().")
