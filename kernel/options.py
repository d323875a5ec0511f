"""How a kernel is set up."""

from __future__ import annotations

from dataclasses import dataclass

from .clock import Clock, Entropy
from .schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelOptions:
    """Where a kernel takes time, chance and order from, and how it shares the loop.

    Args:
        clock: tells the wall time; timers follow the loop's own time.
        entropy: chance and ids.
        schedule: orders ready actors; first come, first served by default.
        throughput: messages an actor may handle in one turn.
        turn: seconds after which the loop's other callbacks get their chance.
        inbound_capacity: envelopes from other OS threads that may wait for the loop.

    """

    clock: Clock | None = None
    entropy: Entropy | None = None
    schedule: Schedule | None = None
    throughput: int = 64
    turn: float = 0.002
    inbound_capacity: int = 100_000
