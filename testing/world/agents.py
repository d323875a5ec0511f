"""Agents that do what their input says, and tell the model when their code executes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from ...actors.context import RunContext
from ...domain.policies import RestartPolicy

Tell = Callable[..., None]

FLAKY = RestartPolicy(max_restarts=3, within=60.0, backoff=0.2, on_orphan="restart")
"""For the agent whose failed attempts, and orphans, are tried again."""


class ScriptedError(Exception):
    """The script wants the agent to fail."""


class Cast:
    """The agents of one process.

    Args:
        tell: `tell("began", …)` tells the model.

    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def agents(self) -> dict[str, Any]:
        """By name. `flaky` is to be registered with the policy `FLAKY`."""
        return {"act": self.act, "flow": self.flow, "flaky": self.act}

    async def act(self, run: RunContext) -> Any:
        """A coroutine."""
        async with aclosing(self._play(run)) as frames:
            async for event, data in frames:
                run.emit(event, data)
        return {"by": run.run_id}

    async def flow(self, run: RunContext) -> AsyncGenerator[Any, None]:
        """An async generator."""
        async with aclosing(self._play(run)) as frames:
            async for frame in frames:
                yield frame

    async def _play(self, run: RunContext) -> AsyncGenerator[tuple[str, Any], None]:
        script: Any = run.input

        def fenced() -> bool:
            return run.fenced

        self._tell("began", run.run_id, run.attempt, fenced)
        outcome = "raised"
        try:
            for step in script["steps"]:
                async for frame in self._play_step(run, step, script["stubborn"]):
                    yield frame
            outcome = "returned"
        except (asyncio.CancelledError, GeneratorExit):
            self._tell("unwinds", run.run_id)
            outcome = "cancelled"
            raise
        finally:
            try:
                if script["unwind"]:
                    await asyncio.sleep(script["unwind"])
            finally:
                self._tell("left", run.run_id, outcome, fenced)

    async def _play_step(
        self, run: RunContext, step: list[Any], stubborn: float
    ) -> AsyncGenerator[tuple[str, Any], None]:
        match step:
            case ["sleep", seconds]:
                await self._sleep(run, seconds, stubborn)
            case ["yield"]:
                await asyncio.sleep(0)
            case ["say", count]:
                for number in range(count):
                    yield "say", {"attempt": run.attempt, "number": number}
            case ["save"]:
                await run.checkpoint.save({"by": run.run_id, "attempt": run.attempt})
            case ["tell"]:
                run.message("ai", f"said by {run.run_id}")
            case ["spend"]:
                run.record_usage("model", 10, 5)
            case ["raise"]:
                raise ScriptedError("the script ends so")
            case ["cancel itself"]:
                raise asyncio.CancelledError

    async def _sleep(self, run: RunContext, seconds: float, stubborn: float) -> None:
        """Sleep; one that is stubborn turns over when it is woken."""
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._tell("unwinds", run.run_id)
            if not stubborn:
                raise
            await _sleep_on(stubborn)
            raise


async def _sleep_on(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        try:
            await asyncio.sleep(until - loop.time())
        except asyncio.CancelledError:
            continue
