"""The supervisor's public face: `runtime.supervisor`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pykka

from ..domain.commands import check_text
from ..domain.enums import CancelAction, StopReason
from ..domain.identifiers import AssistantId, RunId, ThreadId
from ..domain.payload import plain
from ..domain.policies import RestartPolicy
from ..domain.supervision import Health, RunNode, SupervisionEvent, SupervisionTree, ThreadNode
from ..observers import CountStreams, DescribeObserver
from .house import House
from .messages import AbortAll, Describe, FailRun, Passivate, Quarantine, RestartRun

_WAITING = 1000
"""Supervision events that may wait for one listener."""


class SupervisionEvents:
    """What the supervisor notices and does, from the moment of `subscribe` on.

    A listener that falls behind by more than 1,000 events loses the oldest.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._queue: asyncio.Queue[SupervisionEvent | None] = asyncio.Queue(_WAITING)
        house.listeners.append(self._queue)

    def __aiter__(self) -> AsyncIterator[SupervisionEvent]:
        return self

    async def __anext__(self) -> SupervisionEvent:
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return event

    def close(self) -> None:
        """Want no more. Idempotent."""
        if self._queue in self._house.listeners:
            self._house.listeners.remove(self._queue)


class SupervisorControl:
    """Looks at the supervision tree and interferes with it.

    Args:
        house: gives the runtime's actors, or raises `RuntimeClosed`.
        state: tells what the runtime is.

    """

    def __init__(self, house: Callable[[], House], state: Callable[[], str]) -> None:
        self._house = house
        self._state = state

    async def tree(self) -> SupervisionTree:
        """Every actor there is, each as it was when it was asked."""
        house = self._house()
        described = await _gather(
            ref.request(Describe()) for ref in list(house.registry.threads.values())
        )
        threads = [await self._with_runs(house, node, run_ids) for node, run_ids in described]
        observers = await _gather(
            entry.ref.request(DescribeObserver())
            for entry in list(house.supervisor.observers.values())
        )
        return SupervisionTree(
            threads=tuple(sorted(threads, key=lambda node: node.thread_id)),
            observers=tuple(observers),
            streams=await house.wiring.ask(house.wiring.stream, CountStreams()),
            abandoned=self._abandoned(house),
        )

    async def _with_runs(
        self, house: House, node: ThreadNode, run_ids: tuple[str, ...]
    ) -> ThreadNode:
        refs = [house.registry.runs[run_id] for run_id in run_ids if run_id in house.registry.runs]
        runs: list[RunNode] = await _gather(ref.request(Describe()) for ref in refs)
        restarts = house.supervisor.restarts_of(node.thread_id)
        return replace(node, runs=tuple(runs), restarts=restarts)

    async def restart(self, run_id: str) -> bool:
        """Unwind a run's attempt and begin a new one.

        Returns:
            whether it will; `False` if the run is not executing.

        """
        message = RestartRun(0.0, "restarted by the operator")
        return bool(await self._ask_run(run_id, message))

    async def fail(self, run_id: str, error: str) -> bool:
        """End a run with `error`, as soon as its agent has unwound.

        Returns:
            whether it will; `False` if it has ended or is ending.

        Raises:
            InvalidValue: the error is no text, or blank.

        """
        check_text(error, "error")
        message = FailRun(plain(error, "error"), StopReason.FAILED_BY_OPERATOR)
        return bool(await self._ask_run(run_id, message))

    async def _ask_run(self, run_id: str, message: Any) -> Any:
        try:
            return await self._house().ask_run(RunId(run_id), message)
        except pykka.ActorDeadError:
            return False

    async def stop_thread(self, thread_id: str) -> tuple[str, ...]:
        """Abort every run of a thread with `interrupt`, and let its actor leave memory.

        Returns:
            the ids of the aborted runs, once they have ended.

        Raises:
            RuntimeClosed: the runtime ended before they did.
            ActorCrashed: the actor of one of them failed for good.

        """
        house, thread = self._house(), ThreadId(thread_id)
        if thread not in house.registry.threads:
            return ()
        aborted: tuple[str, ...] = await house.ask(
            thread, AbortAll(CancelAction.INTERRUPT, StopReason.STOPPED_BY_OPERATOR)
        )
        await house.wait_for(aborted)
        house.tell(thread, Passivate())
        return aborted

    def policy_for(self, assistant_id: str) -> RestartPolicy:
        """When attempts of this agent are tried again.

        Raises:
            UnknownAgent: no agent has that name.
            InvalidIdentifier: it is no name.

        """
        return self._house().wiring.agents.policy(AssistantId(assistant_id))

    async def health(self) -> Health:
        """Whether the runtime works, and what is wrong if it does not. Never raises."""
        state = self._state()
        if state not in ("running", "draining"):
            return Health(ok=False, state=state, problems=(f"the runtime is {state}",))
        house = self._house()
        supervisor, problems = house.supervisor, []
        if supervisor.store_trouble is not None:
            problems.append(supervisor.store_trouble)
        problems += [f"thread '{name}' is quarantined" for name in supervisor.quarantined]
        problems += [
            f"observer '{name}' is suspended"
            for name, entry in supervisor.observers.items()
            if entry.cursor.suspended is not None
        ]
        return Health(
            ok=not problems,
            state=state,
            problems=tuple(problems),
            threads=len(house.registry.threads),
            runs_in_flight=len(house.registry.runs),
            dead_letters=house.kernel.dead_letters.count,
            abandoned=self._abandoned(house),
            quarantined=tuple(supervisor.quarantined),
        )

    def subscribe(self) -> SupervisionEvents:
        """Follow what the supervisor notices and does, from now on."""
        return SupervisionEvents(self._house())

    async def recover(self) -> tuple[str, ...]:
        """Take up what the store has in flight and nobody runs; lift quarantines.

        Returns:
            the ids of the runs that were taken up.

        """
        house = self._house()
        await house.wiring.ask(house.wiring.supervisor, Quarantine(None))
        return await house.recover()

    @staticmethod
    def _abandoned(house: House) -> int:
        return len(house.supervisor.ghosts)


async def _gather(requests: Any) -> list[Any]:
    """The answers of those that are still there."""
    answers = await asyncio.gather(*requests, return_exceptions=True)
    return [answer for answer in answers if not isinstance(answer, BaseException)]
