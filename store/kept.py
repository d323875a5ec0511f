"""Events as stores keep them, and as readers see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, overload

from ..domain.views import StoredRunEvent
from .entries import NewEvent, Outcome, Verdict

Kept: TypeAlias = tuple[int, int, NewEvent]
"""An event as it is kept: its `position`, its `seq`, and the event as it came."""


class StoredEvents(Sequence[StoredRunEvent]):
    """Events as stored, made when they are looked at: mostly nobody does."""

    __slots__ = ("_kept",)

    def __init__(self, kept: Sequence[Kept]) -> None:
        self._kept = kept

    def __len__(self) -> int:
        return len(self._kept)

    @overload
    def __getitem__(self, index: int) -> StoredRunEvent: ...

    @overload
    def __getitem__(self, index: slice) -> StoredEvents: ...

    def __getitem__(self, index: int | slice) -> StoredRunEvent | StoredEvents:
        if isinstance(index, slice):
            return StoredEvents(self._kept[index])
        return as_stored(self._kept[index])


def as_stored(kept: Kept) -> StoredRunEvent:
    """The event as readers see it."""
    position, seq, event = kept
    event_id, thread_id, run_id, category, event_type, content, at, sequence, metadata = event
    return StoredRunEvent(
        position=position,
        seq=seq,
        event_id=event_id,
        thread_id=thread_id,
        run_id=run_id,
        category=category,
        event_type=event_type,
        content=content,
        created_at=at,
        sequence=sequence,
        metadata=metadata or {},
    )


def applied(events: Sequence[Kept]) -> Outcome:
    """The outcome of an entry with these events."""
    return Outcome(Verdict.APPLIED, StoredEvents(events), events[-1][0] if events else 0)
