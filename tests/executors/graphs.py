"""Real graphs for the executor's tests: no network, no clocks, gates instead of sleeps."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Iterator
from itertools import count
from typing import Annotated, Any, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

_ids = count(1)


class Path(TypedDict):
    path: Annotated[list[str], operator.add]


class ScriptedModel(BaseChatModel):
    """Says what the script says next, word by word when it is streamed."""

    script: list[AIMessage]
    said: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, *_: Any, **__: Any) -> ScriptedModel:
        return self

    def _next(self) -> AIMessage:
        message = self.script[self.said % len(self.script)]
        self.said += 1
        return message.model_copy(update={"id": f"ai-{next(_ids)}"})

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        message = self._next()
        words = str(message.content).split(" ")
        for place, word in enumerate(words):
            last = place == len(words) - 1
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content=word if last else f"{word} ",
                    id=message.id,
                    tool_calls=message.tool_calls if last else [],
                    usage_metadata=message.usage_metadata if last else None,
                    response_metadata=message.response_metadata if last else {},
                )
            )


def says(text: str, read: int = 0, written: int = 0, calls: Any = ()) -> AIMessage:
    return AIMessage(
        text,
        tool_calls=list(calls),
        usage_metadata={
            "input_tokens": read,
            "output_tokens": written,
            "total_tokens": read + written,
        },
        response_metadata={"model_name": "scripted-1"},
    )


@tool
def double(number: int) -> int:
    """Double a number."""
    return number * 2


def tool_loop() -> StateGraph:
    """A model that calls `double` once and then answers."""
    call = {"name": "double", "args": {"number": 21}, "id": "call-1", "type": "tool_call"}
    model = ScriptedModel(script=[says("", 10, 5, [call]), says("It is 42", 20, 7)])

    async def agent(state: MessagesState) -> Any:
        return {"messages": [await model.bind_tools([double]).ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode([double]))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    return graph


def chat(words: str = "how do you do") -> StateGraph:
    """A model that streams one answer."""
    model = ScriptedModel(script=[says(words, 3, 4)])

    async def agent(state: MessagesState) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_edge(START, "agent")
    return graph


def steps(*nodes: tuple[str, Any]) -> StateGraph:
    """One node after the other."""
    graph = StateGraph(Path)
    last = START
    for name, node in nodes:
        graph.add_node(name, node)
        graph.add_edge(last, name)
        last = name
    return graph


def goes(name: str) -> Any:
    async def node(_: Path) -> Any:
        return {"path": [name]}

    return node


def asks(name: str, question: str = "go on?") -> Any:
    async def node(_: Path) -> Any:
        return {"path": [f"{name}:{interrupt(question)}"]}

    return node


def approval() -> StateGraph:
    """Prepares, asks a human, and acts on the answer."""
    return steps(("prepare", goes("prepared")), ("ask", asks("answer")), ("act", goes("acted")))


def nested() -> StateGraph:
    """Asks the human in a subgraph, after a step of the subgraph's own."""
    inner = steps(("look", goes("looked")), ("ask", asks("answer")))
    return steps(("before", goes("before")), ("inner", inner.compile()), ("after", goes("after")))


def subagent() -> StateGraph:
    """A model in the graph, then one in a subgraph."""
    graph = chat("lead says")
    graph.add_node("helper", chat("helper says").compile())
    graph.add_edge("agent", "helper")
    return graph


class Flaky:
    """A node that fails the first times it is called."""

    def __init__(self, failures: int, node: Any = None) -> None:
        self.left = failures
        self.calls = 0
        self.node = node or goes("flaky")

    async def __call__(self, state: Path) -> Any:
        self.calls += 1
        update = await self.node(state)
        if self.left:
            self.left -= 1
            raise RuntimeError("flaky")
        return update


class Gate:
    """A node that tells when it has begun, and goes on when it may."""

    def __init__(self, name: str = "gated") -> None:
        self.name = name
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.unwinding = asyncio.Event()
        self.may_unwind = asyncio.Event()
        self.may_unwind.set()
        self.unwound = False

    async def __call__(self, _: Path) -> Any:
        self.entered.set()
        try:
            await self.open.wait()
        finally:
            self.unwinding.set()
            await self.may_unwind.wait()
            self.unwound = True
        return {"path": [self.name]}


class Blocked:
    """A plain node that blocks its OS thread until it is let go."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.entered = asyncio.Event()
        self.released = threading.Event()
        self.ended = False

    def __call__(self, _: Path) -> Any:
        self.loop.call_soon_threadsafe(self.entered.set)
        assert self.released.wait(30)
        self.ended = True
        return {"path": ["blocked"]}


def writes(_: Path) -> Any:
    """A plain node that writes to the custom stream."""
    get_stream_writer()({"progress": 0.5})
    return {"path": ["wrote"]}
