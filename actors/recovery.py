"""Taking up what the store has in flight and nobody runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from ..domain.enums import LifecycleEventType, RunScope, RunStatus, StopReason
from ..domain.errors import UnknownAgent
from ..domain.fence import Fence
from ..domain.identifiers import Slot, slot_of
from ..domain.views import RunSnapshot
from ..observers import Append, Barrier
from ..store.entries import Entry, Unfinished
from .ledger import Ledger, lifecycle_event
from .messages import Activate, Describe
from .settlement import Ending, end_entry, status_after

if TYPE_CHECKING:
    from .wiring import Wiring

ORPHANED = Ending(error="The process that ran it is gone.", reason=StopReason.ORPHANED)
"""How a run ends whose process died."""
_AT_ONCE = 64
"""Threads that are loaded at the same time."""
_BETWEEN_TRIES = 1.0
"""Seconds before those are asked for again that could not be loaded."""


class Recovery:
    """Settles orphans, and brings the threads with runs left into memory.

    Args:
        wiring: whom to talk to.

    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def sweep(self, epochs: Mapping[Slot, int]) -> tuple[list[str], list[str]]:
        """Settle the orphans of these slots that are not to be tried again.

        When it returns, their ends are stored.

        Args:
            epochs: the slots, and the epoch of each.

        Returns:
            the ids of all runs that were found, and of the threads that have some left.

        """
        registry = self._wiring.registry
        found = [
            each
            for each in await self._wiring.store.runs.list_unfinished()
            if slot_of(each.run.thread_id) in epochs
            and each.run.run_id not in registry.runs
            and each.run.thread_id not in registry.threads
        ]
        left = []
        for thread_id, group in groupby(sorted(found, key=_thread), key=_thread):
            slot = slot_of(thread_id)
            if self._settle(list(group), Fence(slot, epochs[slot])):
                left.append(thread_id)
        await self._wiring.ask(self._wiring.journal, Barrier())
        return [each.run.run_id for each in found], left

    def _settle(self, runs: list[Unfinished], fence: Fence) -> bool:
        """Settle a thread's orphans. Returns whether it has runs left."""
        orphans = [each for each in runs if self._fails(each.run)]
        at = self._wiring.kernel.clock.now()
        for orphan in orphans:
            frames = orphan.frames if orphan.run.request.resumable else None
            ledger = Ledger(orphan.run, orphan.sequence + 1, fence)
            self._append(end_entry(ledger, ORPHANED, at, frames))
            if len(orphans) == len(runs) and orphan is orphans[-1]:
                self._append(_idle(ledger, at))
        return len(orphans) < len(runs)

    def _append(self, entry: Entry) -> None:
        self._wiring.journal.send(Append(entry))

    def _fails(self, run: RunSnapshot) -> bool:
        return run.status is RunStatus.RUNNING and not restarts_orphans(self._wiring, run)

    async def take_up(self, thread_ids: list[str]) -> None:
        """Bring these threads into memory: they queue their runs again, in order.

        Those that the store does not tell of, or that fail, are asked for again until they come.
        """
        while thread_ids := await self._activate(thread_ids):
            pause = self._wiring.kernel.future()
            self._wiring.kernel.loop.call_later(_BETWEEN_TRIES, pause.set)
            await pause

    async def _activate(self, thread_ids: list[str]) -> list[str]:
        """Returns those that did not come."""
        supervisor, left = self._wiring.supervisor, []
        for start in range(0, len(thread_ids), _AT_ONCE):
            some = thread_ids[start : start + _AT_ONCE]
            requests = [supervisor.request(Activate(thread_id, Describe())) for thread_id in some]
            answers = await asyncio.gather(*requests, return_exceptions=True)
            left += [
                thread_id
                for thread_id, answer in zip(some, answers, strict=True)
                if isinstance(answer, BaseException)
            ]
        return left


def restarts_orphans(wiring: Wiring, run: RunSnapshot) -> bool:
    """Whether a run whose process died is tried again."""
    try:
        return wiring.agents.policy(run.assistant_id).restarts_orphan(run.attempt)
    except UnknownAgent:
        return False


def _thread(unfinished: Unfinished) -> str:
    return unfinished.run.thread_id


def _idle(ledger: Ledger, at: datetime) -> Entry:
    """The thread has nothing in flight any more."""
    request = ledger.request
    if request.scope is RunScope.TEMPORARY_THREAD:
        return Entry(ledger.fence, erase_thread=request.thread_id, unless_recorded=True)
    status = {"status": str(status_after(ledger.status, waits_for_human=False))}
    event = lifecycle_event(
        request.thread_id,
        request.run_id,
        LifecycleEventType.THREAD_STATUS_UPDATED,
        status,
        at,
        ledger.sequence,
    )
    return Entry(ledger.fence, events=(event,))
