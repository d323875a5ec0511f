"""The runs in flight on one thread, and whose turn is next."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from .book import RunBook

if TYPE_CHECKING:
    from ..kernel import LoopRef
    from .run import RunActor


class Member(NamedTuple):
    """A run in flight.

    Args:
        ref: its actor.
        book: for its actor's next incarnation, should this one fail.
        due: when it may start at the earliest, in the kernel's time.

    """

    ref: LoopRef[RunActor]
    book: RunBook
    due: float


class TurnQueue:
    """First in, first out, but for delayed runs: they take their place when they are due.

    Invariant: `active` is in flight, or `None`. Every other run in flight is queued.
    """

    __slots__ = ("_admitted", "_heap", "_members", "active")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._heap: list[tuple[float, int, str, Member]] = []
        """Who waits, and who has ended while waiting: the id of such a one may be back."""
        self._admitted = 0
        self.active: str | None = None
        """The run whose turn it is. No other agent code may execute."""

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._members

    def __iter__(self) -> Iterator[str]:
        """Their ids: the active one first, then as they will start."""
        if self.active is not None:
            yield self.active
        for _, _, run_id, member in sorted(self._heap):
            if run_id != self.active and self._members.get(run_id) is member:
                yield run_id

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._members) - (self.active is not None)

    def get(self, run_id: str) -> Member | None:
        """A run in flight."""
        return self._members.get(run_id)

    def members(self) -> list[Member]:
        """All of them, in the order they were admitted."""
        return list(self._members.values())

    def add(self, run_id: str, member: Member) -> None:
        """A run was admitted."""
        self._members[run_id] = member
        self._admitted += 1
        heappush(self._heap, (member.due, self._admitted, run_id, member))

    def remove(self, run_id: str) -> Member | None:
        """A run has ended."""
        if self.active == run_id:
            self.active = None
        return self._members.pop(run_id, None)

    def take(self, now: float) -> Member | None:
        """Give the next run its turn, if nobody has it and one is due."""
        if self.active is not None:
            return None
        while self._heap:
            due, _, run_id, member = self._heap[0]
            waits = self._members.get(run_id) is member
            if waits and due > now:
                return None
            heappop(self._heap)
            if waits:
                self.active = run_id
                return member
        return None

    def next_due(self) -> float | None:
        """When the next queued run is due; `None` if none waits."""
        return self._heap[0][0] if self._heap else None
