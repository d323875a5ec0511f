"""Why a graph's state could not be stored, said so that its author knows what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol

from ...domain.errors import CallboardError


class UnstorableState(CallboardError, TypeError):
    """A graph's state holds an object that its checkpointer cannot write down. Final.

    Args:
        channel: where in the state.
        cause: the serializer's own error, as text.

    """

    def __init__(self, channel: str, cause: str) -> None:
        super().__init__(channel, cause)
        self.channel, self.cause = channel, cause

    def _message(self) -> str:
        return (
            f"The graph's state is stored after each step, and what '{self.channel}' holds cannot "
            f"be ({self.cause}): have it hold plain values, dataclasses or pydantic models, or "
            "compile the graph with a checkpointer of its own whose serde is "
            "JsonPlusSerializer(pickle_fallback=True)."
        )


def refuse_unstorable(
    error: TypeError, serde: SerializerProtocol, values: Iterable[tuple[str, Any]]
) -> None:
    """Say which of the values a checkpointer could not write down, if it is one of them.

    Args:
        error: what it raised.
        serde: turns values into bytes for it.
        values: what it was given, by channel.

    Raises:
        UnstorableState: it was one of them.

    """
    for channel, value in values:
        try:
            serde.dumps_typed(value)
        except TypeError as cause:
            raise UnstorableState(channel, str(cause)) from error
