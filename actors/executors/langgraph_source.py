"""Where a graph comes from: it is given once, or made for each use of it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from ...domain.errors import AgentFault, InvalidValue
from ...domain.payload import JSON
from .graphs import GraphFactory, GraphUse

if TYPE_CHECKING:
    from .langgraph import Graph


class GraphSource(Protocol):
    """Gives the graph for a while."""

    def opened(
        self, config: RunnableConfig, use: GraphUse, context: Mapping[str, JSON] | None = None
    ) -> AbstractAsyncContextManager[Graph]:
        """The graph, for as long as it is entered.

        Args:
            config: what it is used with.
            use: what for.
            context: of a run.

        """
        ...

    def kept_by(self, saver: BaseCheckpointSaver[Any]) -> GraphSource:
        """The same graph with this checkpointer."""
        ...


class GivenGraph:
    """One graph for all.

    Args:
        graph: the graph.

    """

    def __init__(self, graph: Graph) -> None:
        self._entered = nullcontext(graph)
        self._graph = graph

    def opened(
        self,
        config: RunnableConfig,  # noqa: ARG002
        use: GraphUse,  # noqa: ARG002
        context: Mapping[str, JSON] | None = None,  # noqa: ARG002
    ) -> AbstractAsyncContextManager[Graph]:
        """The graph."""
        return self._entered

    def kept_by(self, saver: BaseCheckpointSaver[Any]) -> GraphSource:
        """The same graph with this checkpointer."""
        return GivenGraph(self._graph.copy({"checkpointer": saver}))


class MadeGraphs:
    """A new graph for each use.

    Args:
        factory: makes them.
        saver: their checkpointer, whatever they bring; `None` leaves them theirs.

    """

    def __init__(
        self, factory: GraphFactory, saver: BaseCheckpointSaver[Any] | None = None
    ) -> None:
        self._factory = factory
        self._saver = saver

    @asynccontextmanager
    async def opened(
        self, config: RunnableConfig, use: GraphUse, context: Mapping[str, JSON] | None = None
    ) -> AsyncIterator[Graph]:
        """The graph that is made now. It is closed at the end, if it can be.

        Raises:
            InvalidValue: what was made is no graph.
            AgentFault: it is made for a look, and what makes it has failed.
            Exception: whatever that raises, for a run: it is the run's error.

        """
        async with AsyncExitStack() as stack:
            try:
                graph = compiled(await self._made(stack, config, use, context))
            except Exception as error:
                if use == "threads.create_run":
                    raise
                what = f"The factory of graph {self._factory.name!r}"
                raise AgentFault(what, f"{type(error).__name__}: {error}") from error
            yield graph if self._saver is None else graph.copy({"checkpointer": self._saver})

    async def _made(
        self,
        stack: AsyncExitStack,
        config: RunnableConfig,
        use: GraphUse,
        context: Mapping[str, JSON] | None,
    ) -> object:
        made = self._factory.make(config, use, context)
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__"):
            return await stack.enter_async_context(made)
        if hasattr(made, "__enter__"):
            return stack.enter_context(made)
        return made

    def kept_by(self, saver: BaseCheckpointSaver[Any]) -> GraphSource:
        """The same graphs with this checkpointer."""
        return MadeGraphs(self._factory, saver)


def compiled(graph: object) -> Graph:
    """A graph, ready to be run.

    Raises:
        InvalidValue: it is none.

    """
    if isinstance(graph, StateGraph):
        graph = graph.compile()
    if not isinstance(graph, Pregel):
        raise InvalidValue("graph", graph, "give a StateGraph, compiled or not")
    return graph
