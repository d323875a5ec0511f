"""Adapters that drive the kinds of agents there are."""

from __future__ import annotations

from typing import Any, cast

from ...store.graph_checkpoints import GraphCheckpoints
from .base import AttemptOutput, Executor
from .callables import CoroutineExecutor, FunctionExecutor, GeneratorExecutor, executor_of
from .graphs import is_graph
from .workers import Workers

__all__ = [
    "AttemptOutput",
    "CoroutineExecutor",
    "Executor",
    "FunctionExecutor",
    "GeneratorExecutor",
    "Workers",
    "executor_for",
]


def executor_for(
    agent: Any, workers: Workers, graph_checkpoints: GraphCheckpoints | None = None
) -> Executor:
    """The executor that drives `agent`.

    Args:
        agent: the agent.
        workers: for plain functions.
        graph_checkpoints: keeps the states of graphs that have no checkpointer of their own;
            `None` for memory.

    Raises:
        InvalidValue: it is nothing that can be driven.

    """
    if isinstance(agent, Executor) and not isinstance(agent, type):
        return agent
    if is_graph(agent):
        # Only who has a graph needs LangGraph.
        from .langgraph import LangGraphExecutor  # noqa: PLC0415

        return LangGraphExecutor(agent, graph_checkpoints)
    return cast("Executor", executor_of(agent, workers))
