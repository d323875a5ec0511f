"""Agents that are graphs: the states of their threads, and what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ..actors.runtime import Runtime
from ..domain.commands import CreateRunCommand
from ..domain.errors import UnknownAgent
from ..domain.payload import JSON
from ..domain.views import RunSnapshot, ThreadSnapshot
from .shapes import empty_state


class Threads(Protocol):
    """The threads of a graph, as its executor gives them."""

    @property
    def keeps_state(self) -> bool:
        """Whether it remembers them."""
        ...

    @property
    def is_made(self) -> bool:
        """Whether the graph is made for each look at them."""
        ...

    def seen_like(self, request: CreateRunCommand) -> Threads:
        """The same, seen through the graph that a run had."""
        ...

    async def state(
        self,
        thread_id: str,
        checkpoint: Mapping[str, JSON] | None = None,
        *,
        subgraphs: bool = False,
    ) -> JSON:
        """A thread's state."""
        ...

    async def history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | Mapping[str, JSON] | None = None,
        metadata: Mapping[str, JSON] | None = None,
        checkpoint: Mapping[str, JSON] | None = None,
    ) -> list[JSON]:
        """A thread's states, latest first."""
        ...

    async def update(
        self,
        thread_id: str,
        values: JSON,
        *,
        as_node: str | None = None,
        checkpoint: Mapping[str, JSON] | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> JSON:
        """Change a thread's state; answers the new checkpoint."""
        ...

    async def apply(
        self, thread_id: str, supersteps: Sequence[Sequence[Mapping[str, JSON]]]
    ) -> None:
        """Give a thread a state by several steps."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Give a new thread all checkpoints of another."""
        ...

    async def forget(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread."""
        ...


class Drawing(Protocol):
    """What a graph is made of, as its executor gives it."""

    async def drawing(self, xray: int | bool = False) -> JSON:
        """Its nodes and edges."""
        ...

    async def schemas(self) -> dict[str, JSON]:
        """The schemas of what it takes and gives."""
        ...

    async def subgraphs(
        self, namespace: str | None = None, *, recurse: bool = False
    ) -> dict[str, JSON]:
        """The schemas of its subgraphs."""
        ...


@runtime_checkable
class GraphAgent(Protocol):
    """An executor of a graph."""

    @property
    def threads(self) -> Threads:
        """Its threads."""
        ...

    @property
    def drawing(self) -> Drawing:
        """What it is made of."""
        ...


class Graphs:
    """Finds the graph that goes with an agent or a thread.

    Args:
        runtime: has the agents.

    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def of(self, name: object) -> GraphAgent | None:
        """The graph of that name; `None` if there is no such agent, or it is no graph."""
        try:
            executor: Any = self._runtime.agents.executor(str(name))
        except UnknownAgent:
            return None
        return executor if isinstance(executor, GraphAgent) else None

    def threads_of(self, thread: ThreadSnapshot) -> Threads | None:
        """Where the state of a thread is kept; `None` if no graph keeps it."""
        graph = self.of(thread.metadata.get("graph_id"))
        return graph.threads if graph is not None and graph.threads.keeps_state else None

    async def view_of(
        self, thread: ThreadSnapshot, last: RunSnapshot | None = None
    ) -> Threads | None:
        """The same, to look at states: a graph that is made for it is made as for the last run.

        Args:
            thread: the thread.
            last: the run of it that ended last, for whom it is at hand.

        """
        threads = self.threads_of(thread)
        if threads is None or not threads.is_made:
            return threads
        last = last or await self.last_run(thread)
        return threads if last is None else threads.seen_like(last.request)

    async def last_run(self, thread: ThreadSnapshot) -> RunSnapshot | None:
        """The run of a thread that ended last."""
        return await self._runtime.get_run(thread.last_run_id) if thread.last_run_id else None

    async def state_of(
        self, thread: ThreadSnapshot, last: RunSnapshot | None = None, *, subgraphs: bool = False
    ) -> dict[str, Any]:
        """A thread's latest state; of an agent that is no graph, what its last run gave.

        Args:
            thread: the thread.
            last: the run of it that ended last, for whom it is at hand.
            subgraphs: with the states of subgraphs.

        Raises:
            AgentFault: the graph could not be made.
            InvalidValue: the graph cannot compute the state.

        """
        threads = await self.view_of(thread, last)
        if threads is not None:
            found: dict[str, Any] = await threads.state(thread.thread_id, subgraphs=subgraphs)
            return found
        last = last or await self.last_run(thread)
        return empty_state(thread.thread_id, last.output if last else None)

    async def forget(self, thread_id: str) -> None:
        """Delete what all graphs keep of a thread."""
        for name in self._runtime.agents.names:
            graph = self.of(name)
            if graph is not None and graph.threads.keeps_state:
                await graph.threads.forget(thread_id)
