"""What an observer is."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from ..domain.enums import LifecycleEventType
from ..domain.events import RunLifecycleEvent

__all__ = ["LifecycleEventType", "RunLifecycleEvent", "RunObserver"]


@runtime_checkable
class RunObserver(Protocol):
    """Is told of every lifecycle event, at least once, in the order of the log.

    What is told again has the `event_id` it had before.
    """

    def on_event(self, event: RunLifecycleEvent) -> Awaitable[None] | None:
        """Take an event. May be sync or async; called on the runtime's event loop.

        Raises:
            Exception: with a required binding the run fails with it, if it has not ended;
                with an optional one it is reported, and the next event follows.

        """
        ...
