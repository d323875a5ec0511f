"""Two graphs that cost next to nothing, so that what is measured is the server."""

from typing import TypedDict

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph


class Said(TypedDict, total=False):
    text: str
    answer: str


class Told(TypedDict, total=False):
    frames: int


async def answer(state: Said) -> Said:
    """Says what was said."""
    return {"answer": state["text"]}


async def tell(state: Told) -> Told:
    """Streams that many frames."""
    write = get_stream_writer()
    for number in range(state["frames"]):
        write({"number": number})
    return {"frames": 0}


echo = StateGraph(Said).add_node("answer", answer).add_edge(START, "answer")
talk = StateGraph(Told).add_node("tell", tell).add_edge(START, "tell")
