"""Tells a LangGraph graph from other agents without importing LangGraph."""

from __future__ import annotations

_GRAPHS = frozenset({"Pregel", "StateGraph"})


def is_graph(agent: object) -> bool:
    """Whether `agent` is a LangGraph graph, compiled or not.

    A graph's class has LangGraph's own among its bases, so the names of the bases tell,
    and who has no graph needs no LangGraph.
    """
    return any(
        base.__name__ in _GRAPHS and base.__module__.partition(".")[0] == "langgraph"
        for base in type(agent).__mro__
    )
