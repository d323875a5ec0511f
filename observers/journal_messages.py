"""What one says to the journal actor, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..domain.store_errors import StoreUnavailable
from ..domain.views import StoredRunEvent
from ..kernel import LoopRef
from ..store.entries import Entry, Outcome


class Origin(Protocol):
    """Who is told what became of an entry: an actor."""

    def send(self, message: Any) -> None:
        """Take the answer."""
        ...


class Append(NamedTuple):
    """Write an entry.

    Args:
        entry: what to write.
        origin: who gets `Committed` or `NotCommitted`; `None` wants neither.
        tag: returned in the answer.
        refusable: give it up when the store does not take it: whoever asked decides.

    """

    entry: Entry
    origin: Origin | None = None
    tag: object = None
    refusable: bool = False


class Write(NamedTuple):
    """Write an entry. Answers its `Outcome`, or an error if it could not be stored."""

    entry: Entry
    refusable: bool = False


class Barrier(NamedTuple):
    """Answers when everything appended before it is stored."""


class Committed(NamedTuple):
    """The store has decided about an entry.

    Args:
        tag: as given.
        outcome: its verdict, and the events as stored.
        awaited: the required observers that are being told of it; each answers with
            `Observed` for every event.
        told: the position of the last event they are told.

    """

    tag: object
    outcome: Outcome
    awaited: tuple[str, ...] = ()
    told: int = 0


class NotCommitted(NamedTuple):
    """The store is not available; the entry was given up and nothing is stored."""

    tag: object
    error: StoreUnavailable


class Delivery(NamedTuple):
    """A stored lifecycle event for an observer.

    Args:
        event: the event.
        origin: who waits for a required observer to have seen it, if that is known.

    """

    event: StoredRunEvent
    origin: Origin | None


class Deliver(NamedTuple):
    """The lifecycle events of one group, in the order of the log."""

    deliveries: tuple[Delivery, ...]


class Bind(NamedTuple):
    """Tell an observer's actor of everything stored from now on. Answers the log's head.

    Args:
        observer: the actor.
        name: the observer's name, if runs require it.

    """

    observer: LoopRef[Any]
    name: str | None


class Unbind(NamedTuple):
    """Tell it nothing more."""

    observer: LoopRef[Any]


class Behind(NamedTuple):
    """For an observer's actor: a group did not fit its mailbox; read it from the log."""


class StoreTrouble(NamedTuple):
    """For the supervisor: the store failed, or with `error=None` works again.

    Args:
        error: what is the matter.
        noticed_by: who noticed; the store works again when all of them say so.

    """

    error: str | None
    noticed_by: str


class OwnershipLost(NamedTuple):
    """For the supervisor: somebody else owns what this runtime owned.

    Args:
        reason: how that was noticed.

    """

    reason: str
