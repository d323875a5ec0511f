"""Callers: each carries out one command, and tells the model what it was answered."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from ...domain.conflicts import ConflictError, IdempotencyConflict, ThreadBusy, ThreadExists
from ...domain.errors import (
    ActorCrashed,
    CallboardError,
    RunNotFound,
    RuntimeClosed,
    ThreadNotFound,
    Unavailable,
)
from ..reader import StreamReader
from ..simulated.turbulence import InjectedFault
from .commands import (
    Cancel,
    ChangeThread,
    Command,
    Create,
    DeleteThread,
    Erase,
    Follow,
    LookAtThread,
    Operate,
    RecordThread,
    StopThread,
    Wait,
)

if TYPE_CHECKING:
    from ...actors.runtime import Runtime
    from ..life import Life
    from ..model import Model

_AGAIN = 1.0
"""Seconds after which a caller asks again who was told to."""


class Client:
    """One caller. It outlives processes, as callers do.

    Args:
        command: what it wants.
        model: is told.
        runs: the ids of the runs by the key of their command; filled in here.

    """

    def __init__(self, command: Command, model: Model, runs: dict[int, str]) -> None:
        self.command = command
        self.done = False
        self._model = model
        self._runs = runs
        self._last: str | None = None
        self._seen = 0
        self._about: Life | None = None
        """The run it asks about, as it was when it asked."""
        self._since = 0.0
        """When it asked last."""
        self._version: int | None = None
        """What was recorded of the thread it asks about, when it asked first."""

    def restarted(self) -> None:
        """There is a new process. What it read of streams that do not last counts no more."""
        if isinstance(self.command, Follow):
            run = self._model.runs.get(self._runs.get(self.command.of, ""))
            if run is None or not run.request.resumable:
                self._last, self._seen = None, 0

    async def act(self, runtime: Runtime) -> None:
        """Carry it out, on this runtime, as far as it gets."""
        await _until(self.command.at)
        while not self.done:
            try:
                self.done = await self._try(runtime)
            except RuntimeClosed:
                return  # the next process may answer

    async def _try(self, runtime: Runtime) -> bool:
        """Returns whether it need not be tried again."""
        self._since = _now()
        try:
            await self._carry_out(runtime)
        except RuntimeClosed:
            raise
        except RunNotFound:
            self._misses_run()
            return True
        except ThreadNotFound as error:
            self._model.records.missed(str(error.thread_id), self._since, self)
            return True
        except Unavailable as error:
            answers = self._model.shaken or not isinstance(error, ActorCrashed)
            self._model.check("actors answer", answers, repr(error))
            await asyncio.sleep(_AGAIN)
            return False
        except IdempotencyConflict as error:
            self._model.check("asking again is no conflict", False, repr(error))
            return True
        except CallboardError:
            return True  # it was deleted, or there was no room, or it is in flight
        except Exception as error:
            if not injected(error):
                raise
        return True

    async def _carry_out(self, runtime: Runtime) -> None:
        command = self.command
        match command:
            case Create():
                await self._create(runtime, command)
            case Cancel():
                await self._cancel(runtime, command)
            case Follow():
                await self._follow(runtime, command)
            case Wait():
                await self._wait(runtime, command)
            case Operate():
                await self._operate(runtime, command)
            case Erase():
                await self._erase(runtime, command)
            case _:
                await self._treat_thread(runtime, command)

    async def _treat_thread(self, runtime: Runtime, command: Command) -> None:
        match command:
            case StopThread():
                await self._stop_thread(runtime, command)
            case DeleteThread():
                await self._delete_thread(runtime, command)
            case RecordThread():
                await self._record_thread(runtime, command)
            case ChangeThread():
                await self._change_thread(runtime, command)
            case LookAtThread():
                await self._look_at_thread(runtime, command)

    def _misses_run(self) -> None:
        about = self._about
        there = about is not None and self._model.runs.get(about.run_id) is about
        self._model.check("a run is missed for a reason", not there, about)

    async def _create(self, runtime: Runtime, command: Create) -> None:
        options: dict[str, Any] = {
            "input": command.script,
            "multitask_strategy": command.strategy,
            "resumable": command.resumable,
            "after_seconds": command.after,
            "timeout": command.timeout,
            "on_disconnect": "cancel" if command.leaves else "continue",
            "scope": command.scope,
            "forget_on_rollback": command.forget,
        }
        if command.named == "run_id":
            self._runs[command.key] = options["run_id"] = f"run-{command.key}"
        elif command.named == "key":
            options["idempotency_key"] = f"key-{command.key}"
        try:
            async with asyncio.timeout(command.patience):
                run = await runtime.create_run(command.thread, command.agent, **options)
        except TimeoutError:
            self._model.withdrawn["withdrawn"].add(command.thread)
        except ConflictError as error:
            self._model.refused(command.thread, str(error.active_run_id), self._since)
        except (Unavailable, RuntimeClosed):
            if command.named:
                raise
        else:
            self._runs[command.key] = run.run_id
            self._model.acknowledged(run.run_id)

    async def _cancel(self, runtime: Runtime, command: Cancel) -> None:
        run_id = await self._known(command.of)
        self._model.asks(run_id, command.action)
        if await runtime.cancel(run_id, command.action, command.wait):  # type: ignore[arg-type]
            self._model.promised(run_id, command.action)
            if command.wait:
                self._model.answered(run_id)

    async def _follow(self, runtime: Runtime, command: Follow) -> None:
        run_id = await self._known(command.of)
        run = self._model.runs.get(run_id)
        if run is None or str(run.request.on_disconnect) == "cancel":
            self._model.asks(run_id, "interrupt")
        reader = StreamReader(self._model, run_id, self._last)
        left = command.leave_after
        async with aclosing(runtime.stream(run_id, self._last, 15.0)) as frames:
            try:
                async for frame in frames:
                    if left == self._seen:
                        return
                    reader.saw(frame.id, frame.event, frame.data)
                    self._last = frame.id or self._last
                    self._seen += frame.event != "heartbeat"
            finally:
                reader.leaves()
        if runtime.state == "running":
            reader.ended()

    async def _wait(self, runtime: Runtime, command: Wait) -> None:
        run_id = await self._known(command.of)
        with suppress(TimeoutError):
            async with asyncio.timeout(command.patience):
                result = await runtime.wait(run_id)
            self._model.answered(run_id, str(result.status))
            about = self._about
            if about is not None and about.forgotten:
                end = runtime.recall(run_id)
                known = end is not None and end.status == result.status
                self._model.check("the forgotten are recalled", known, about, end)

    async def _operate(self, runtime: Runtime, command: Operate) -> None:
        run_id = await self._known(command.of)
        if command.verb == "restart":
            self._model.asks(run_id, "restart")
            await runtime.supervisor.restart(run_id)
            return
        self._model.asks(run_id, "fail")
        if await runtime.supervisor.fail(run_id, "an operator wants it so"):
            self._model.promised(run_id, "fail")

    async def _erase(self, runtime: Runtime, command: Erase) -> None:
        run_id = await self._known(command.of)
        self._model.asks(run_id, "erase")
        await runtime.delete_run(run_id)

    async def _stop_thread(self, runtime: Runtime, command: StopThread) -> None:
        self._model.asks_all("interrupt", command.thread)
        self._model.withdrawn["stopped_by_operator"].add(command.thread)
        for run_id in await runtime.supervisor.stop_thread(command.thread):
            self._model.answered(run_id)

    async def _delete_thread(self, runtime: Runtime, command: DeleteThread) -> None:
        model, thread_id = self._model, command.thread
        before = model.runs_on(thread_id)
        model.records.deletes(thread_id, self)
        deleted = False
        try:
            deleted = await runtime.delete_thread(thread_id)
        except ThreadNotFound:
            model.records.missed(thread_id, self._since, self)
        model.records.told(thread_id, self)
        left = [run for run in before if model.runs.get(run.run_id) is run]
        model.check("deleted means gone", not left, thread_id, left)
        run_ids = [run.run_id for run in before]
        await self._find_nothing_stored(runtime, thread_id, run_ids)
        if deleted:  # else somebody else deletes it, and is told when that has been done
            await self._find_no_frames(runtime, run_ids)

    async def _find_nothing_stored(
        self, runtime: Runtime, thread_id: str, run_ids: list[str]
    ) -> None:
        """Look for what was deleted with a thread, wherever it was stored."""
        model = self._model
        anew, version = self._is_there(thread_id), model.records.version(thread_id)
        found: list[object] = [await runtime.get_thread(thread_id)]
        if anew or self._is_there(thread_id) or model.records.version(thread_id) != version:
            found = []  # that is another one, or was
        store: Any = runtime._open_house().wiring.store
        state: Any = await store.checkpoints.load(thread_id)
        for run_id in run_ids:
            of_run = [await runtime.get_run(run_id)]
            of_run += await store.events.list_events_by_run(run_id)
            of_run += [state] if state is not None and state["by"] == run_id else []
            found += [] if run_id in model.runs else of_run  # it was asked for again
        found = [each for each in found if each is not None]
        model.check("deleted means gone", not found, thread_id, found)

    def _is_there(self, thread_id: str) -> bool:
        model = self._model
        return bool(model.runs_on(thread_id)) or model.records.is_there(thread_id)

    async def _find_no_frames(self, runtime: Runtime, run_ids: list[str]) -> None:
        for run_id in run_ids:
            with suppress(RunNotFound):
                async with aclosing(runtime.stream(run_id)) as frames:
                    frame = await anext(frames)
                again = run_id in self._model.runs  # it was asked for again
                self._model.check("deleted means gone", again, run_id, frame)

    async def _record_thread(self, runtime: Runtime, command: RecordThread) -> None:
        records, thread_id = self._model.records, command.thread
        metadata = {f"{command.verb} {command.number}": True}
        inhabited = bool(self._model.runs_on(thread_id))
        again = self._version is not None
        self._version = since = self._version or records.version(thread_id)
        try:
            if command.verb == "create":
                await runtime.create_thread(thread_id, metadata=metadata)
            else:
                await runtime.update_thread(thread_id, metadata)
        except ThreadExists:
            inhabited = inhabited or again or bool(self._model.runs_on(thread_id))
            records.exists(thread_id, metadata, since, inhabited=inhabited)
        except ThreadNotFound:
            records.absent(thread_id, since)
        else:
            records.acknowledged(thread_id, metadata, since)

    async def _change_thread(self, runtime: Runtime, command: ChangeThread) -> None:
        model, thread_id = self._model, command.thread

        async def change() -> None:
            with model.records.change(thread_id, model.runs_on(thread_id)):
                await asyncio.sleep(command.takes)

        since = _now()
        try:
            await runtime.while_idle(thread_id, change)
        except ThreadBusy as error:
            run = model.runs.get(error.active_run_id)
            real = run is None or not run.over or (run.told_at or since) >= since
            model.check("a conflict is real", real, thread_id, run)

    async def _look_at_thread(self, runtime: Runtime, command: LookAtThread) -> None:
        records, thread_id = self._model.records, command.thread
        since = records.version(thread_id)
        thread = await runtime.get_thread(thread_id)
        if thread is None:
            records.absent(thread_id, since)
        else:
            records.looked(thread_id, dict(thread.metadata), since)

    async def _known(self, key: int) -> str:
        """The id of a run, once its creator has it. Without one there is nothing to do."""
        for _ in range(50):
            if key in self._runs:
                self._about = self._model.runs.get(self._runs[key])
                return self._runs[key]
            await asyncio.sleep(0.1)
        raise RunNotFound(f"of command {key}")


def injected(error: BaseException | None) -> bool:
    """Whether it goes back to a fault that the simulation wanted."""
    while error is not None:
        if isinstance(error, InjectedFault):
            return True
        error = error.__cause__
    return False


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - _now()))
