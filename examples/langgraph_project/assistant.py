"""Three graphs that need no network: compiled, not yet compiled, and made by a factory."""

import asyncio
import operator
import os
from typing import Annotated, TypedDict

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def answer(state: MessagesState) -> dict:
    """Say something about the last message."""
    name = os.environ.get("ASSISTANT_NAME", "the assistant")
    said = state["messages"][-1].content
    return {"messages": [AIMessage(f"{name} heard: {said}")]}


assistant = StateGraph(MessagesState)
assistant.add_node("answer", answer)
assistant.add_edge(START, "answer")
graph = assistant.compile()


class Draft(TypedDict):
    """A text, and whether it was sent."""

    text: str
    sent: bool


async def ask(state: Draft) -> dict:
    """Stop until a human has looked at the draft."""
    return {"sent": interrupt({"question": "Send it?", "draft": state["text"]}) == "yes"}


approval = StateGraph(Draft)
approval.add_node("ask", ask)
approval.add_edge(START, "ask")


class Pages(TypedDict):
    """What was written."""

    pages: Annotated[list[str], operator.add]


async def write(state: Pages) -> dict:
    """Write one page, slowly enough to watch."""
    await asyncio.sleep(0.5)
    return {"pages": [f"page {len(state['pages']) + 1}"]}


def make_writer() -> StateGraph:
    """A graph that writes three pages, one a step."""
    writer = StateGraph(Pages)
    last = START
    for name in ("first", "second", "third"):
        writer.add_node(name, write)
        writer.add_edge(last, name)
        last = name
    return writer
