"""Whose cancellation it is."""

from __future__ import annotations

import asyncio


def is_being_cancelled(error: BaseException) -> bool:
    """Whether the running task raises `error` because it is to end.

    Code of a host that an actor awaits may raise a `CancelledError` of its own: that of
    something else that it waited for.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
