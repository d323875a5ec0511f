"""The keeper: shows that this runtime lives, and takes over from those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from ..domain.identifiers import Slot
from ..domain.store_errors import StoreOwned
from ..kernel import LoopActor, LoopRef, handles
from ..observers import OwnershipLost, StoreTrouble
from ..store.ports import Store

_log = structlog.get_logger("callboard.keeper")

TakeOver = Callable[[frozenset[Slot]], Coroutine[Any, Any, None]]


class _Beat(NamedTuple):
    """Renew what is owned, and look for what nobody owns."""


class _Look(NamedTuple):
    """See whether the lease has run out."""


class KeeperActor(LoopActor):
    """Renews this runtime's claims, and finds slots whose owner is gone.

    A lease that could not be renewed before it ran out is lost, even if the store answers
    later: by then somebody else may have the slots, and their agents may be at work.

    Args:
        store: knows who owns what.
        epochs: the slots this runtime owns.
        supervisor: hears when one is lost.
        take_over: claims slots and settles what is in flight there.

    """

    def __init__(
        self,
        store: Store,
        epochs: dict[Slot, int],
        supervisor: LoopRef[Any],
        take_over: TakeOver,
    ) -> None:
        self._store = store
        self._epochs = epochs
        self._supervisor = supervisor
        self._take_over = take_over
        self._period = store.heartbeat or 1.0
        self._confirmed = self.kernel.now()
        """When the last renewal that succeeded was asked for."""
        self._taking_over = False
        self._in_trouble = False

    def on_start(self) -> None:
        """Begin."""
        self._later(_Beat())
        self._later(_Look())

    def _later(self, message: _Beat | _Look) -> None:
        self.kernel.after(self._period, self.actor_ref, message)

    @handles(_Look, system=True)
    def _look(self, _: _Look) -> None:
        """In the system lane: also while a renewal hangs."""
        lease = self._store.lease
        if lease is not None and self.kernel.now() - self._confirmed >= lease:
            self._lose(f"its lease of {lease:.0f} seconds could not be renewed")
        else:
            self._later(_Look())

    @handles(_Beat)
    async def _beat(self, _: _Beat) -> None:
        try:
            await self._renew()
        except Exception as error:  # noqa: BLE001 - `_look` ends the runtime if it goes on
            _log.warning("lease_not_renewed", error=str(error))
            self._report(str(error))
        else:
            self._report(None)
        finally:
            self._later(_Beat())

    def _report(self, trouble: str | None) -> None:
        if trouble is not None or self._in_trouble:
            self._in_trouble = trouble is not None
            self._supervisor.send(StoreTrouble(trouble, "keeper"))

    async def _renew(self) -> None:
        asked = self.kernel.now()
        kept = await self._store.renew()
        lost = sorted(self._epochs.keys() - kept)
        if lost:
            self._lose(f"slot {lost[0]} and {len(lost) - 1} more have another owner")
            return
        self._confirmed = asked
        # With those that were claimed once, by a take-over which failed behind its claim.
        abandoned = await self._store.abandoned() | (kept - self._epochs.keys())
        if abandoned and not self._taking_over:
            # Beside the beat: settling what is in flight there may take longer than a lease.
            self._taking_over = True
            work = self._take_over(abandoned)
            self.kernel.run(work, self._taken_over, "callboard take-over")

    def _taken_over(self, task: asyncio.Task[None]) -> None:
        self._taking_over = False
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreOwned):
            _log.info("another_process_was_first")
        elif error is not None:
            _log.warning("take_over_failed", error=repr(error))

    def _lose(self, reason: str) -> None:
        self._supervisor.send(OwnershipLost(reason))
