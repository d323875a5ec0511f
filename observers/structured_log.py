"""An observer that writes every lifecycle event to structlog."""

from __future__ import annotations

from typing import Any

import structlog

from ..domain.enums import LifecycleEventType
from ..domain.events import RunLifecycleEvent
from ..domain.payload import JSON

_LONGEST = 500
"""Characters of a value that are logged."""
_TAKEN = frozenset(
    {"event", "exc_info", "exception", "extra", "level", "logger", "method_name"}
    | {"positional_args", "run_id", "self", "sequence", "stack", "stack_info", "stacklevel"}
    | {"thread_id", "timestamp"}
)
"""Names in a log entry that structlog or this observer gives a meaning."""


class StructlogObserver:
    """Logs each event with `run_id`, `thread_id` and `sequence` bound.

    A failed run is a warning, anything else information. Control characters are taken out
    of keys and values, and long ones are cut, so that nobody forges or floods a log. A key
    of the payload that would hide a name of the entry itself is logged as `payload_…`.

    Args:
        logger: a structlog logger; by default one named `callboard.runs`.

    """

    def __init__(self, logger: Any = None) -> None:
        self._logger = structlog.get_logger("callboard.runs") if logger is None else logger

    def on_event(self, event: RunLifecycleEvent) -> None:
        """Log it."""
        bound = self._logger.bind(
            run_id=event.run_id, thread_id=event.thread_id, sequence=event.sequence
        )
        payload = {_key(key): _clean(value) for key, value in event.payload.items()}
        failed = event.event_type is LifecycleEventType.RUN_FAILED
        (bound.warning if failed else bound.info)(str(event.event_type), **payload)


def _key(key: str) -> str:
    shown = printable(key)
    return f"payload_{shown}" if shown in _TAKEN else shown


def _clean(value: JSON) -> JSON:
    if isinstance(value, str):
        return printable(value)
    if value is None or isinstance(value, int | float):
        return value
    return printable(repr(value))


def printable(text: str) -> str:
    """`text` as a log may hold it: on one line, without control characters, not too long."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in shown)
