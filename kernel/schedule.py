"""In which order ready actors get their turn.

A schedule orders actors, never the messages within one mailbox lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .clock import Entropy
    from .mailbox import Mailbox


class Schedule(Protocol):
    """The actors that have something to do. `collections.deque` is the fair one."""

    def append(self, mailbox: Mailbox, /) -> None:
        """Make it ready."""
        ...

    def popleft(self) -> Mailbox:
        """Take the next one."""
        ...

    def __len__(self) -> int: ...


class SeededSchedule:
    """Picks the next actor by chance: other seeds, other interleavings."""

    __slots__ = ("_entropy", "_ready")

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._ready: list[Mailbox] = []

    def append(self, mailbox: Mailbox, /) -> None:
        """Make it ready."""
        self._ready.append(mailbox)

    def popleft(self) -> Mailbox:
        """Take one by chance."""
        ready = self._ready
        index = self._entropy.below(len(ready))
        ready[index], ready[-1] = ready[-1], ready[index]
        return ready.pop()

    def __len__(self) -> int:
        return len(self._ready)
