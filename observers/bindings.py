"""Ways to be an observer, and to bind one."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from ..domain.errors import InvalidValue
from ..domain.events import RunLifecycleEvent
from .protocol import RunObserver
from .structured_log import printable

_log = structlog.get_logger("callboard.observer")

Callback = Callable[[RunLifecycleEvent], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class ObserverBinding:
    """An observer, and what runs owe it.

    Args:
        observer: the observer.
        required: runs wait for it and fail if it raises.
        name: for logs and the supervision tree.

    """

    observer: RunObserver
    required: bool = False
    name: str | None = None


class NullObserver:
    """Ignores everything."""

    def on_event(self, event: RunLifecycleEvent) -> None:
        """Do nothing."""


class CallbackObserver:
    """Calls a function.

    Args:
        callback: sync or async; takes the event.

    """

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def on_event(self, event: RunLifecycleEvent) -> Awaitable[None] | None:
        """Call it."""
        return self._callback(event)


class CompositeObserver:
    """Tells several observers, one after the other.

    An optional one that fails is logged and the next is told; a required one that fails
    ends the telling with its error.

    Args:
        bindings: the observers.

    """

    def __init__(self, bindings: Iterable[ObserverBinding]) -> None:
        self._bindings = tuple(bindings)

    async def on_event(self, event: RunLifecycleEvent) -> None:
        """Tell them all, in order, each when the one before has finished.

        Raises:
            Exception: what a required one raised; those behind it were not told.

        """
        for binding in self._bindings:
            try:
                told = binding.observer.on_event(event)
                if inspect.isawaitable(told):
                    await told
            except Exception as error:  # whatever an observer raises stays its own
                if binding.required:
                    raise
                _log.warning(
                    "observer_failed",
                    observer=printable(binding.name or type(binding.observer).__name__),
                    event_type=str(event.event_type),
                    run_id=event.run_id,
                    error=_described(error),
                )


def _described(error: Exception) -> str:
    try:
        return printable(repr(error))
    except Exception:  # noqa: BLE001 - its text is the observer's own as well
        return type(error).__name__


def ensure_observer(observer: RunObserver | Callback | None) -> RunObserver:
    """Make an observer of `None`, a callback, or an observer.

    Raises:
        InvalidValue: it is none of these.

    """
    if observer is None:
        return NullObserver()
    if isinstance(observer, RunObserver) and not isinstance(observer, type):
        return observer
    if callable(observer) and not isinstance(observer, type):
        return CallbackObserver(observer)
    raise InvalidValue(
        "observer", observer, "give an observer, a callback that takes the event, or None"
    )
