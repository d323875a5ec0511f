"""Identifiers: checked once, where they enter."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import NewType, Self

from .errors import InvalidIdentifier, InvalidValue

SLOTS = 256
"""How many slots the threads of a store are spread over; fixed for its life."""

Slot = NewType("Slot", int)


class _Identifier(str):
    """A non-empty, printable string without blanks at its ends."""

    __slots__ = ()
    field = "identifier"

    def __new__(cls, value: str) -> Self:
        """Strip and check `value`.

        Raises:
            InvalidIdentifier: it is no string, blank, or holds control characters.

        """
        if type(value) is cls:
            return value
        if not isinstance(value, str):
            raise InvalidIdentifier(cls.field, value, "is not a string")
        text = value.strip()
        if not text:
            raise InvalidIdentifier(cls.field, value, "is blank")
        if not text.isprintable():
            raise InvalidIdentifier(cls.field, value, "holds control characters")
        return super().__new__(cls, text)


class RunId(_Identifier):
    """Names one run, in all processes that share a store."""

    __slots__ = ()
    field = "run_id"


class ThreadId(_Identifier):
    """Names one conversation."""

    __slots__ = ()
    field = "thread_id"


class AssistantId(_Identifier):
    """The name an agent is registered under."""

    __slots__ = ()
    field = "assistant_id"


class UserId(_Identifier):
    """Whom a run belongs to."""

    __slots__ = ()
    field = "user_id"


def user(user_id: str | None) -> UserId | None:
    """Read `user_id`; `None` is single-user mode.

    Raises:
        InvalidIdentifier: it is no string, blank, or holds control characters.

    """
    return None if user_id is None else UserId(user_id)


@dataclass(frozen=True, slots=True, order=True)
class EventSeq:
    """The place of a stored event in its thread; 0 is before the first.

    Raises:
        InvalidValue: the value is no integer, or negative.

    """

    value: int

    def __post_init__(self) -> None:
        """Check the value."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            raise InvalidValue("seq", self.value, "count from 0 upwards")

    def next(self) -> EventSeq:
        """The place after this one."""
        return EventSeq(self.value + 1)


def slot_of(thread_id: str) -> Slot:
    """The slot that owns `thread_id`, the same on every machine."""
    digest = blake2b(thread_id.encode(), digest_size=8).digest()
    return Slot(int.from_bytes(digest, "big") % SLOTS)
