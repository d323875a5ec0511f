"""Tells a LangGraph graph from other agents without importing LangGraph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ...domain.payload import JSON

GraphUse: TypeAlias = Literal[
    "threads.create_run", "threads.update", "threads.read", "assistants.read"
]
"""What a graph is made for, in the platform's words."""
_GRAPHS = frozenset({"Pregel", "StateGraph"})


@dataclass(frozen=True, slots=True)
class GraphFactory:
    """A graph that is made for each use of it.

    Args:
        make: takes the config it is used with, what for, and the context of a run; returns a
            graph, one to come, or what opens one. All that it makes must have the same state.
        name: what errors call the graph.

    """

    make: Callable[[Any, GraphUse, Mapping[str, JSON] | None], Any]
    name: str = "?"


def is_graph(agent: object) -> bool:
    """Whether `agent` is a LangGraph graph, compiled or not, or makes one.

    A graph's class has LangGraph's own among its bases, so the names of the bases tell,
    and who has no graph needs no LangGraph.
    """
    return isinstance(agent, GraphFactory) or any(
        base.__name__ in _GRAPHS and base.__module__.partition(".")[0] == "langgraph"
        for base in type(agent).__mro__
    )
