"""Live handles that a runtime gives to its host. They do not travel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ..domain.views import Frame, RunStreamHandle

if TYPE_CHECKING:
    from .lifecycle import Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStream(RunStreamHandle):
    """A run, and the frames it streams: iterate over it, once."""

    frames: AsyncGenerator[Frame, None]

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self.frames

    async def aclose(self) -> None:
        """Stop consuming. With `on_disconnect="cancel"` the last to do so aborts the run."""
        await self.frames.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Observation:
    """An observer that is bound to a runtime.

    Args:
        runtime: the runtime.
        name: the observer's name.

    """

    __slots__ = ("_runtime", "name")

    def __init__(self, runtime: Lifecycle, name: str) -> None:
        self._runtime = runtime
        self.name = name

    def close(self) -> None:
        """Tell the observer nothing more. Idempotent."""
        self._runtime.forget_observer(self.name)
