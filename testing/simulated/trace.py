"""Who said what to whom, and when."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST = 160
"""Characters of one message."""


class Trace:
    """The lines of a simulation, oldest first, readable and the same for the same seed.

    Args:
        keep: how many lines; older ones go. `None` keeps all, 0 none.

    """

    def __init__(self, keep: int | None = None) -> None:
        self._lines: deque[str] = deque(maxlen=keep)
        self.wanted = keep != 0
        """Whether anything is kept."""

    def say(self, time: float, who: str, what: str) -> None:
        """Note what somebody did."""
        if self.wanted:
            self._lines.append(f"{time:10.3f}  {who:<22} {what}")

    def send(self, time: float, sender: str, recipient: str, message: Any) -> None:
        """Note a message."""
        if self.wanted:
            self.say(time, sender, f"→ {recipient}: {described(message)}")

    def text(self) -> str:
        """All lines. Ids are replaced by `#1`, `#2`, … in the order they appear."""
        names: dict[str, str] = {}

        def short(found: re.Match[str]) -> str:
            return names.setdefault(found[0], f"#{len(names) + 1}")

        return _ID.sub(short, "\n".join(self._lines))


def described(value: Any) -> str:
    """A message as one line, without addresses and without what has no end."""
    return _shortened(_text(value, 3), _LONGEST)


def _text(value: Any, depth: int) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value)
    if isinstance(value, datetime):
        return value.strftime("%H:%M:%S.%f")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}({str(value)[:60]!r})"
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        items = (f"{key}: {_text(each, depth - 1)}" for key, each in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named(type(value).__name__, dict(zip(value._fields, value, strict=True)), depth)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_text(each, depth - 1) for each in value) + "]"
    if is_dataclass(value) and not isinstance(value, type):
        known = {field.name: getattr(value, field.name) for field in fields(value)}
        return _named(type(value).__name__, known, depth)
    return type(value).__name__


def _named(name: str, known: dict[str, Any], depth: int) -> str:
    said = (
        f"{key}={_text(each, depth - 1)}"
        for key, each in known.items()
        if each is not None and each not in ((), {}, [])
    )
    return f"{name}({', '.join(said)})"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
