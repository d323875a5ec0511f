"""How a runtime comes to its end: what it lets finish, aborts, or hands over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from ..domain.enums import CancelAction, StopReason
from ..domain.errors import RuntimeClosed
from ..kernel import LoopRef
from ..observers import Barrier
from .attempt import Attempt
from .book import Phase
from .messages import AbortAll, Describe, Ping, Wait
from .run import RunActor

if TYPE_CHECKING:
    from .wiring import Wiring

_log = structlog.get_logger("callboard.runtime")

_PATIENCE = 5.0
"""Seconds to wait for what is being admitted, and for the journal."""


class Draining:
    """Brings what is in flight to an end.

    Args:
        wiring: the runtime's actors.

    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._kernel = wiring.kernel
        self._registry = wiring.registry

    async def drain(self, timeout: float, *, abort: bool = True) -> tuple[str, ...]:
        """Admit nothing more, let runs finish, then abort what remains.

        Delayed runs that are not due by then are not waited for.

        Args:
            timeout: seconds to let them finish.
            abort: otherwise what remains is left in flight, for whoever comes next; agents
                unwind all the same.

        Returns:
            the ids of the runs that remained.

        """
        self._registry.closing = True
        deadline = self._kernel.now() + timeout
        decided = await self._admissions_decided()
        timeout = max(0.0, deadline - self._kernel.now())
        last = self._kernel.clock.now() + timedelta(seconds=timeout)
        runs = self._registry.runs.values()
        await self._wait_for_runs([ref for ref in runs if _is_due(ref, last)], timeout)
        left = tuple(self._registry.runs)
        if abort and (left or not decided):
            _log.warning("closing_with_live_runs", run_ids=list(left))
            for ref in list(self._registry.threads.values()):
                ref.send(AbortAll(CancelAction.INTERRUPT, StopReason.SHUTDOWN))
            grace = self._wiring.settings.abort_grace + 1.0
            await self._wait_for_runs(self._registry.runs.values(), grace)
        elif not abort:
            await self._hand_over()
        await self.stored()
        return left

    async def _hand_over(self) -> None:
        """Have no agent execute any more: whoever comes next begins their runs anew."""
        self._registry.handing_over = True
        deadline = self._kernel.now() + self._wiring.settings.abort_grace
        while executing := [attempt for attempt in self._attempts() if attempt.executing]:
            left = deadline - self._kernel.now()
            if left <= 0:
                return
            for attempt in executing:
                if not attempt.gate.closed:
                    attempt.hand_over()
            await asyncio.wait([attempt.task for attempt in executing], timeout=left)

    def _attempts(self) -> list[Attempt]:
        """Those of runs in flight, but for abandoned ones."""
        actors = [ref.actor_inbox.actor for ref in self._registry.runs.values()]
        attempts = [actor.book.attempt for actor in actors if isinstance(actor, RunActor)]
        return [each for each in attempts if each is not None and not each.gate.fenced]

    async def _admissions_decided(self) -> bool:
        """Wait until what was being admitted is a run, or is not; unless that takes too long.

        Returns:
            whether it is so.

        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._wiring.ask(self._wiring.supervisor, Ping())  # all threads are there
                # Behind every `Create`, and held back while its record is being stored.
                asked = [ref.request(Describe()) for ref in self._registry.threads.values()]
                await asyncio.gather(*asked, return_exceptions=True)
        except (TimeoutError, RuntimeClosed):
            return False
        return True

    async def stored(self) -> None:
        """Wait until what was given to the journal is stored, unless that takes too long."""
        await asyncio.wait([self._wiring.journal.request(Barrier())], timeout=_PATIENCE)

    async def _wait_for_runs(self, runs: Iterable[LoopRef[Any]], timeout: float) -> None:
        waits = [ref.request(Wait()) for ref in runs]
        if waits:
            await asyncio.wait(waits, timeout=timeout)
            for wait in waits:
                wait.cancel()


def _is_due(ref: LoopRef[RunActor], last: datetime) -> bool:
    """Whether a run has had its turn, or may have it by then."""
    actor = ref.actor_inbox.actor
    if not isinstance(actor, RunActor) or actor.book.phase is not Phase.QUEUED:
        return True
    ledger = actor.book.ledger
    return ledger.aggregate.created_at + timedelta(seconds=ledger.request.after_seconds) <= last
