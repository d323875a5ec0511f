"""The proof of ownership that every write carries."""

from __future__ import annotations

from typing import NamedTuple

from .identifiers import Slot


class Fence(NamedTuple):
    """Says as whom a write is made.

    Args:
        slot: the slot of the thread that is written.
        epoch: raised each time the slot gets a new owner; a write with an older one is
            refused with `Fenced`.

    """

    slot: Slot
    epoch: int
