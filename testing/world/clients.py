"""Callers: each carries out one command, and tells the model what it was answered."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from ...domain.errors import (
    ActorCrashed,
    CallboardError,
    ConflictError,
    IdempotencyConflict,
    RunNotFound,
    RuntimeClosed,
    Unavailable,
)
from ..reader import StreamReader
from ..simulated.turbulence import InjectedFault
from .commands import Cancel, Command, Create, Erase, Follow, Operate, StopThread, Wait

if TYPE_CHECKING:
    from ...actors.runtime import Runtime
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
        try:
            await self._carry_out(runtime)
        except RuntimeClosed:
            raise
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
            case StopThread():
                await self._stop_thread(runtime, command)

    async def _create(self, runtime: Runtime, command: Create) -> None:
        options: dict[str, Any] = {
            "input": command.script,
            "multitask_strategy": command.strategy,
            "resumable": command.resumable,
            "after_seconds": command.after,
            "timeout": command.timeout,
            "on_disconnect": "cancel" if command.leaves else "continue",
            "scope": command.scope,
        }
        if command.named == "run_id":
            self._runs[command.key] = options["run_id"] = f"run-{command.key}"
        elif command.named == "key":
            options["idempotency_key"] = f"key-{command.key}"
        since = _now()
        try:
            async with asyncio.timeout(command.patience):
                run = await runtime.create_run(command.thread, command.agent, **options)
        except TimeoutError:
            self._model.withdrawn["withdrawn"].add(command.thread)
        except ConflictError as error:
            self._model.refused(command.thread, str(error.active_run_id), since)
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
        await runtime.delete_run(await self._known(command.of))

    async def _stop_thread(self, runtime: Runtime, command: StopThread) -> None:
        self._model.asks_all("interrupt", command.thread)
        self._model.withdrawn["stopped_by_operator"].add(command.thread)
        for run_id in await runtime.supervisor.stop_thread(command.thread):
            self._model.answered(run_id)

    async def _known(self, key: int) -> str:
        """The id of a run, once its creator has it. Without one there is nothing to do."""
        for _ in range(50):
            if key in self._runs:
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
