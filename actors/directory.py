"""Who serves a thread. Every call goes through here, so that it may be another machine one day."""

from __future__ import annotations

from typing import Any, Protocol

from ..domain.views import FramePage


class RuntimeRef(Protocol):
    """A runtime, near or far. Few verbs, plain data."""

    async def ask(self, thread_id: str, message: Any) -> Any:
        """Have the thread's actor answer `message`."""
        ...

    async def ask_run(self, run_id: str, message: Any) -> Any:
        """Have the run's actor answer `message`.

        Raises:
            pykka.ActorDeadError: the run has ended.

        """
        ...

    async def read(self, run_id: str, after: int, limit: int, wait: float) -> FramePage:
        """A page of the run's frames."""
        ...


class Directory(Protocol):
    """Finds the runtime that serves a thread."""

    def locate(self, thread_id: str) -> RuntimeRef:
        """Who serves it."""
        ...


class LocalDirectory:
    """The only runtime there is serves every thread.

    Args:
        local: that runtime.

    """

    __slots__ = ("_local",)

    def __init__(self, local: RuntimeRef) -> None:
        self._local = local

    def locate(self, thread_id: str) -> RuntimeRef:  # noqa: ARG002
        """The local one, always."""
        return self._local
