"""The states of graphs, as a store keeps them: bytes, by thread, namespace and checkpoint.

What they mean is known to whoever wrote them; see `callboard.actors.executors.langgraph_store`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class GraphCheckpoint(NamedTuple):
    """The state of a graph after a step."""

    thread_id: str
    namespace: str
    """Of a subgraph; empty for the graph itself."""
    checkpoint_id: str
    """Later ones sort behind earlier ones."""
    parent_id: str | None
    run_id: str | None
    """The run that made it."""
    kind: str
    """How `state` is written."""
    state: bytes


class GraphWrite(NamedTuple):
    """What a task of the next step wrote, before the step was complete."""

    task_id: str
    place: int
    """Among the task's writes; below zero for those that are replaced when written again."""
    task_path: str
    channel: str
    kind: str
    value: bytes


class GraphState(NamedTuple):
    """A checkpoint, and what was written since, by task path, task and place."""

    checkpoint: GraphCheckpoint
    writes: tuple[GraphWrite, ...]


class GraphCheckpoints(Protocol):
    """Keeps the states of graphs. What it has answered is durable.

    What is to be written is taken at once, and written in the order in which it was given; one
    need not await it. Reads see what has been answered. All raise `StoreUnavailable` where the
    store does not answer, and those that save `Fenced` where the thread is another owner's.
    """

    async def find(
        self, thread_id: str, namespace: str, checkpoint_id: str | None = None
    ) -> GraphState | None:
        """A checkpoint; without an id the thread's latest in the namespace."""
        ...

    async def page(
        self,
        thread_id: str | None,
        namespace: str | None,
        *,
        before: str | None = None,
        behind: GraphCheckpoint | None = None,
        limit: int,
    ) -> list[GraphState]:
        """Checkpoints, latest first.

        Args:
            thread_id: whose; `None` for all threads.
            namespace: of which; `None` for all.
            before: only checkpoints with lower ids.
            behind: the last one of the page before.
            limit: most checkpoints to answer with.

        """
        ...

    def save(self, checkpoint: GraphCheckpoint, *, soon: bool = True) -> Awaitable[None]:
        """Keep a checkpoint, instead of one with the same id.

        Args:
            checkpoint: what to keep.
            soon: write it at once; else with what comes in the next moment, or at `hurry`.

        """
        ...

    def save_writes(
        self,
        thread_id: str,
        namespace: str,
        checkpoint_id: str,
        writes: Sequence[GraphWrite],
        *,
        soon: bool = True,
    ) -> Awaitable[None]:
        """Keep what a task wrote. What is there stays, but for places below zero."""
        ...

    def hurry(self) -> None:
        """Somebody waits for what was given: write it now."""
        ...

    def forget_thread(self, thread_id: str) -> Awaitable[None]:
        """Delete all of a thread."""
        ...

    def forget_runs(self, run_ids: Sequence[str]) -> Awaitable[None]:
        """Delete the checkpoints that these runs made, with what was written on them."""
        ...

    def copy_thread(self, source: str, target: str) -> Awaitable[None]:
        """Give a thread without checkpoints all those of another."""
        ...


@runtime_checkable
class KeepsGraphs(Protocol):
    """A store that keeps the states of graphs as well."""

    @property
    def graph_checkpoints(self) -> GraphCheckpoints:
        """The states of graphs."""
        ...
