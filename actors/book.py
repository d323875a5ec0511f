"""What there is to know of a live run. It outlives the incarnations of the run's actor."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..domain.payload import JSON
from ..kernel import LoopFuture
from ..observers import FrameWriter
from ..store.entries import Entry
from .abort import AbortSignal
from .attempt import UNSET, Attempt
from .ledger import Ledger
from .settlement import Ending, metadata_of

if TYPE_CHECKING:
    from .wiring import Wiring


_MANY = 64
"""Waiters after which those who have given up are looked for."""


class Phase(StrEnum):
    """What a run's actor is doing.

    ```
    queued → starting → executing → (unwinding) → (restoring) → settling → settled
                 ▲          │
                 └── backing_off ◄── deciding
    ```
    """

    QUEUED = "queued"
    """Waits for its turn."""
    STARTING = "starting"
    """Its start, or restart, is being stored."""
    EXECUTING = "executing"
    """Its agent has the word."""
    UNWINDING = "unwinding"
    """Its agent was cancelled and cleans up."""
    DECIDING = "deciding"
    """Its agent raised; the supervisor decides."""
    BACKING_OFF = "backing_off"
    """The next attempt waits for its delay."""
    RESTORING = "restoring"
    """The state before it is being put back."""
    SETTLING = "settling"
    """Its end is being stored. Nothing changes it any more."""
    SETTLED = "settled"
    """Its end is stored; its thread is being told."""


class RunBook:
    """A live run. Only its actor changes it.

    Args:
        wiring: whom to talk to.
        ledger: its record.

    """

    __slots__ = (
        "abort",
        "abort_waiters",
        "attempt",
        "captured",
        "crashes",
        "ending",
        "failed",
        "history",
        "inherited",
        "ledger",
        "phase",
        "restarts",
        "settlement",
        "waiters",
        "writer",
    )

    def __init__(self, wiring: Wiring, ledger: Ledger) -> None:
        request = ledger.request
        self.ledger = ledger
        self.phase = Phase.QUEUED
        self.abort = AbortSignal(wiring.kernel.loop)
        self.writer = FrameWriter(
            request.run_id,
            wiring.stream,
            wiring.settings.buffer_frames,
            resumable=request.resumable,
        )
        self.ending: Ending | None = None
        self.attempt: Attempt | None = None
        self.inherited = False
        """Another process began it, and may have left something behind."""
        self.captured: Any = UNSET
        """The state before the run, once its agent has begun."""
        self.settlement: Entry | None = None
        """The end, as it was given to the journal."""
        self.waiters: list[LoopFuture[Any]] = []
        self.abort_waiters: list[LoopFuture[Any]] = []
        self.restarts: list[float] = []
        """When it was decided to try again, in the kernel's time."""
        self.history: list[dict[str, JSON]] = []
        """Which attempts failed, and with what."""
        self.crashes = 0
        self.failed = False
        """Its actor failed, and the next one has still to take it to its end."""

    def metadata(self) -> JSON:
        """The frame that opens each attempt."""
        return metadata_of(self.ledger)

    def wait(self, reply: LoopFuture[Any]) -> None:
        """Note somebody who waits for the end, and forget those who have given up."""
        if len(self.waiters) >= _MANY:
            self.waiters = [waiter for waiter in self.waiters if not waiter.cancelled()]
        self.waiters.append(reply)
