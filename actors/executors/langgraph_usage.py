"""What a graph said and spent: its messages and the tokens of its model calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import LLMResult

from .langgraph_frames import to_json

if TYPE_CHECKING:
    from ..context import Caller, RunContext

_ROLES: tuple[tuple[type[BaseMessage], str], ...] = (
    (HumanMessage, "human"),
    (AIMessage, "ai"),
    (ToolMessage, "tool"),
    (SystemMessage, "system"),
)
_DETAILS = ("name", "tool_calls", "tool_call_id", "status")
"""Fields of a message that are worth keeping beside its content, where they are set."""


def messages_in(state: Any) -> Iterator[tuple[str, BaseMessage]]:
    """The messages of a state, each with a key that it keeps while it is in the state.

    The key is the message's id, or its place when its channel gives it none.
    """
    if not isinstance(state, Mapping):
        return
    for channel, value in state.items():
        items = value if isinstance(value, list | tuple) else (value,)
        for place, item in enumerate(items):
            if isinstance(item, BaseMessage):
                yield item.id or f"{channel}[{place}]", item


class Conversation:
    """Records the messages that a run adds to its thread's state, each once.

    Args:
        run: records them.
        seen: keys of messages that were there before or are recorded; grows, and is
            shared by the attempts of a run.

    """

    __slots__ = ("_run", "_seen")

    def __init__(self, run: RunContext, seen: set[str]) -> None:
        self._run = run
        self._seen = seen

    def follow(self, state: Any) -> None:
        """Record what is new in the state after a step, in order."""
        for key, message in messages_in(state):
            if key not in self._seen:
                self._seen.add(key)
                self._record(message)

    def skip(self, state: Any) -> None:
        """Take all messages of the state as recorded."""
        self._seen.update(key for key, _ in messages_in(state))

    def _record(self, message: BaseMessage) -> None:
        role = next((role for kind, role in _ROLES if isinstance(message, kind)), message.type)
        details = {
            name: to_json(value) for name in _DETAILS if (value := getattr(message, name, None))
        }
        if message.id:
            details["id"] = message.id
        self._run.message(role, to_json(message.content), **details)


class TokenCount(BaseCallbackHandler):
    """Records every model call of a run once, with the tokens the model reports.

    A call counts when it ends, streamed or not, also when its step fails afterwards: the
    tokens are spent. A model that reports none counts as a call with none.

    Args:
        run: records them.

    """

    run_inline = True
    """The order of calls is the order of records."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._started: dict[UUID, Mapping[str, Any]] = {}

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002
        messages: list[list[BaseMessage]],  # noqa: ARG002
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Remember where in the graph the call comes from."""
        self._started[run_id] = metadata or {}

    def on_llm_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002
        prompts: list[str],  # noqa: ARG002
        *,
        run_id: UUID,
        metadata: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Remember where in the graph the call comes from."""
        self._started[run_id] = metadata or {}

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """Forget a call that came to nothing."""
        self._started.pop(run_id, None)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Record the call."""
        origin = self._started.pop(run_id, None)
        if origin is None or self._run.fenced:
            return
        model, read, written = str(origin.get("ls_model_name") or "unknown"), 0, 0
        for message in _answers(response):
            usage = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
            read, written = read + usage["input_tokens"], written + usage["output_tokens"]
            details = message.response_metadata
            model = str(details.get("model_name") or details.get("model") or model)
        self._run.record_usage(model, read, written, _caller(origin))


def _answers(response: LLMResult) -> Iterator[AIMessage]:
    for generations in response.generations:
        for generation in generations:
            if isinstance(message := getattr(generation, "message", None), AIMessage):
                yield message


def _caller(origin: Mapping[str, Any]) -> Caller:
    """A node of a subgraph has a namespace of more than one level."""
    return "subagent" if "|" in str(origin.get("langgraph_checkpoint_ns", "")) else "lead_agent"
