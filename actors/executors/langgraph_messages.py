"""Messages as they grow: each frame has what a model has said so far, not its last word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk, message_chunk_to_message

from ...domain.payload import JSON
from .langgraph_frames import to_json

WHOLE = "messages-whole"
"""The stream mode that asks for them."""


class GrowingMessages:
    """Puts the chunks of an attempt's messages together.

    The first of a message comes with `messages/metadata`, which tells where in the graph it is
    said; then `messages/partial` while it is streamed, or `messages/complete` when it comes as
    a whole.
    """

    __slots__ = ("_so_far",)

    def __init__(self) -> None:
        self._so_far: dict[str, BaseMessage] = {}

    def take(self, data: Any) -> Iterator[tuple[str, JSON]]:
        """The frames, by mode, for the next part of a graph's stream of messages."""
        message, metadata = data
        if not isinstance(message, BaseMessage) or message.id is None:
            return
        known = self._so_far.get(message.id)
        if known is None and not message.content and _is_last(message):
            return  # the end of a message whose pieces had another id
        if known is None:
            yield "messages/metadata", {message.id: {"metadata": to_json(metadata)}}
        streamed = isinstance(message, BaseMessageChunk)
        if streamed and isinstance(known, BaseMessageChunk):
            message = known + message
        self._so_far[message.id or ""] = message
        whole = message_chunk_to_message(message) if streamed else message
        yield ("messages/partial" if streamed else "messages/complete"), [to_json(whole)]


def _is_last(message: BaseMessage) -> bool:
    return getattr(message, "chunk_position", None) == "last"
