"""The graphs of the demo: real LangGraph graphs that need no network."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Iterator
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

_PAUSE = 0.05
"""Seconds between two words, so that one can watch."""


class ScriptedModel(BaseChatModel):
    """A chat model that says what its script says next."""

    script: list[AIMessage]
    said: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> ScriptedModel:
        """The script knows the tools already."""
        return self

    def _next(self) -> AIMessage:
        message = self.script[self.said % len(self.script)]
        self.said += 1
        return message.model_copy(update={"id": f"ai-{self.said}"})

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        message = self._next()
        words = str(message.content).split(" ")
        for index, word in enumerate(words):
            last = index == len(words) - 1
            chunk = AIMessageChunk(
                content=word if last else f"{word} ",
                id=message.id,
                tool_calls=message.tool_calls if last else [],
                usage_metadata=message.usage_metadata if last else None,
                response_metadata=message.response_metadata if last else {},
            )
            yield ChatGenerationChunk(message=chunk)


def _says(text: str, read: int, written: int, *calls: Any) -> AIMessage:
    usage: Any = {
        "input_tokens": read,
        "output_tokens": written,
        "total_tokens": read + written,
    }
    return AIMessage(
        text,
        tool_calls=list(calls),
        usage_metadata=usage,
        response_metadata={"model_name": "scripted-1"},
    )


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def calculator() -> Any:
    """A model that calls a tool, looks at the result, and answers."""
    call = {"name": "multiply", "args": {"a": 6, "b": 7}, "id": "call-1", "type": "tool_call"}
    model = ScriptedModel(script=[_says("", 12, 4, call), _says("Six times seven is 42.", 20, 7)])

    async def think(state: MessagesState) -> Any:
        return {"messages": [await model.bind_tools([multiply]).ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode([multiply]))
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile()


def chat() -> Any:
    """A model that streams its answer word by word."""
    text = "To be, or not to be: that is the question"
    model = ScriptedModel(script=[_says(text, 9, 10)])

    async def answer(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    return graph.compile()


def approval() -> Any:
    """Drafts, asks a human, and acts on the answer."""

    async def draft(state: MessagesState) -> Any:  # noqa: ARG001 - a node's signature
        return {"messages": [AIMessage("I would send 'Dear Hamlet'.", id="draft")]}

    async def send(state: MessagesState) -> Any:  # noqa: ARG001
        answer = interrupt("Send it?")
        return {"messages": [AIMessage(f"The human said: {answer}.", id="sent")]}

    graph = StateGraph(MessagesState)
    graph.add_node("draft", draft)
    graph.add_node("send", send)
    graph.add_edge(START, "draft")
    graph.add_edge("draft", "send")
    return graph.compile()


class Pages(TypedDict):
    """What the writer has written."""

    pages: Annotated[list[str], operator.add]


def writer() -> Any:
    """Writes pages, one a step, each by a subgraph; slow enough to be interrupted."""

    async def write(state: Pages) -> Any:
        stream = get_stream_writer()
        for word in ("once", "upon", "a", "time"):
            stream({"word": word})
            await asyncio.sleep(_PAUSE)
        return {"pages": [f"page {len(state['pages'])}"]}

    desk = StateGraph(Pages)
    desk.add_node("write", write)
    desk.add_edge(START, "write")
    subgraph = desk.compile()

    async def page(state: Pages) -> Any:
        written = await subgraph.ainvoke(state)
        return {"pages": written["pages"][len(state["pages"]) :]}

    graph = StateGraph(Pages)
    last = START
    for name in ("first", "second", "third"):
        graph.add_node(name, page)
        graph.add_edge(last, name)
        last = name
    return graph.compile()


def frail(crashes: int) -> Any:
    """Two steps; the second one crashes so many times."""
    left = [crashes]

    async def gather(state: Pages) -> Any:  # noqa: ARG001
        return {"pages": ["gathered once"]}

    async def build(state: Pages) -> Any:  # noqa: ARG001
        if left[0]:
            left[0] -= 1
            raise ConnectionError("the tool server is gone")
        return {"pages": ["built"]}

    graph = StateGraph(Pages)
    graph.add_node("gather", gather)
    graph.add_node("build", build)
    graph.add_edge(START, "gather")
    graph.add_edge("gather", "build")
    return graph.compile()
