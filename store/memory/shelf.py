"""Stored events in order, found by number and deleted without a walk."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from ..kept import Kept

_FEW = 32
"""A shelf with fewer gaps than this is not worth tidying."""


class Shelf:
    """Events by an ascending number: their `seq`, or their `position`.

    Invariant: the numbers strictly ascend. A deleted event leaves a gap; when more than
    half of the shelf is gaps they are closed, so that a deletion costs O(log n) on average
    and no more than twice what is kept takes up room.
    """

    __slots__ = ("_events", "_gaps", "_numbers")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._events: list[Kept | None] = []
        self._gaps = 0

    def add(self, number: int, event: Kept) -> None:
        """Put an event at the end. Its number is higher than all before it."""
        self._numbers.append(number)
        self._events.append(event)

    def remove(self, number: int) -> None:
        """Delete the event with this number, which is there."""
        self._events[bisect_left(self._numbers, number)] = None
        self._gaps += 1
        if self._gaps > _FEW and self._gaps * 2 > len(self._events):
            self._tidy()

    def after(self, number: int) -> Iterator[Kept]:
        """The events with higher numbers, ascending."""
        for index in range(bisect_right(self._numbers, number), len(self._events)):
            event = self._events[index]
            if event is not None:
                yield event

    def before(self, number: int | None) -> Iterator[Kept]:
        """The events with lower numbers, or all of them, descending."""
        end = len(self._events) if number is None else bisect_left(self._numbers, number)
        for index in range(end - 1, -1, -1):
            event = self._events[index]
            if event is not None:
                yield event

    def _tidy(self) -> None:
        kept = [
            (number, event)
            for number, event in zip(self._numbers, self._events, strict=True)
            if event is not None
        ]
        self._numbers = [number for number, _ in kept]
        self._events = [event for _, event in kept]
        self._gaps = 0
