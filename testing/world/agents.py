"""Agents that do what their input says, and tell the model when their code executes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
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
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._all_open = False

    def open(self, run_id: str) -> None:
        """Let a run's agent pass its gates."""
        self._gates[run_id].set()

    def open_all(self) -> None:
        """Let every agent pass every gate, from now on."""
        self._all_open = True
        for gate in self._gates.values():
            gate.set()

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

        if run.assistant_id == "flaky":
            self._tell("asks", run.run_id, "restart")
        self._tell("began", run.run_id, run.attempt, fenced)
        outcome = "raised"
        try:
            for step in script["steps"]:
                async for frame in self._play_step(run, step):
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
        self, run: RunContext, step: list[Any]
    ) -> AsyncGenerator[tuple[str, Any], None]:
        match step:
            case ["sleep", seconds]:
                if not await self._sleep(run, seconds):
                    yield "say", {"attempt": run.attempt, "number": -1}
            case ["say", count]:
                for number in range(count):
                    yield "say", {"attempt": run.attempt, "number": number}
            case ["raise"]:
                raise ScriptedError("the script ends so")
            case ["cancel itself"]:
                raise asyncio.CancelledError
            case _:
                await self._act(run, step)

    async def _act(self, run: RunContext, step: list[Any]) -> None:
        match step:
            case ["gate"]:
                if not self._all_open:
                    await self._gates[run.run_id].wait()
            case ["yield"]:
                await asyncio.sleep(0)
            case ["save"]:
                await run.checkpoint.save({"by": run.run_id, "attempt": run.attempt})
            case ["tell"]:
                run.message("ai", f"said by {run.run_id}")
            case ["spend"]:
                run.record_usage("model", 10, 5)

    async def _sleep(self, run: RunContext, seconds: float) -> bool:
        """Sleep; one that is stubborn turns over when it is woken, and then may go on.

        Returns whether it was left in peace.
        """
        script: Any = run.input
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._tell("unwinds", run.run_id)
            if script["stubborn"]:
                await _sleep_on(script["stubborn"])
            if not (script["stubborn"] and script["defiant"]):
                raise
            return False
        return True


async def _sleep_on(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        try:
            await asyncio.sleep(until - loop.time())
        except asyncio.CancelledError:
            continue
