"""Messages that reached nobody, and that nobody asked about."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import structlog

_log = structlog.get_logger("callboard.kernel")


class DeadLetter(NamedTuple):
    """One of them."""

    recipient: str
    """The actor it was meant for."""
    message: str
    """What it was, as text: the message itself is not kept alive."""


class DeadLetters:
    """The last few, and how many there were in all."""

    __slots__ = ("count", "recent")

    def __init__(self, keep: int = 100) -> None:
        self.count = 0
        self.recent: deque[DeadLetter] = deque(maxlen=keep)

    def add(self, recipient: str, message: object) -> None:
        """Keep and log one."""
        letter = DeadLetter(recipient, repr(message)[:200])
        self.count += 1
        self.recent.append(letter)
        _log.debug("dead_letter", recipient=recipient, message=letter.message)
