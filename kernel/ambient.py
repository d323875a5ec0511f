"""Which kernel the code that runs now belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kernel import Kernel

_current: ContextVar[Kernel] = ContextVar("callboard_kernel")


def current_kernel() -> Kernel:
    """The kernel whose handler, agent or start-up code is running.

    Raises:
        RuntimeError: there is none.

    """
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError(
            "no kernel is running here: use kernel.spawn(MyActor, ...) on the right one"
        ) from None


def enter(kernel: Kernel) -> None:
    """Make `kernel` the current one of this context."""
    _current.set(kernel)
