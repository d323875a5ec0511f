"""A graph's threads, seen from outside of a run: their state, its history, and changes to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.types import StateSnapshot, StateUpdate

from ...domain.errors import InvalidValue
from ...domain.payload import JSON
from .graphs import GraphUse
from .langgraph_frames import to_json
from .langgraph_request import command_of, configurable_of
from .langgraph_saver import place_of
from .langgraph_source import GraphSource, MadeGraphs
from .langgraph_state import put_back, root_of
from .langgraph_views import REFUSALS, change_state, read_history, read_state

if TYPE_CHECKING:
    from ...domain.commands import CreateRunCommand
    from .langgraph import Graph


class GraphThreads:
    """Reads and changes the states of a graph's threads, as plain JSON.

    Nothing here waits for runs: whoever changes a state sees that none is in flight.

    Args:
        source: gives the graph, with its saver.
        saver: keeps its threads; `None` for a graph without.

    """

    def __init__(self, source: GraphSource, saver: BaseCheckpointSaver[Any] | None) -> None:
        self._source = source
        self._saver = saver
        self._configurable: Mapping[str, JSON] = {}

    @property
    def is_made(self) -> bool:
        """Whether the graph is made for each use, so that `seen_like` makes a difference."""
        return isinstance(self._source, MadeGraphs)

    def seen_like(self, request: CreateRunCommand) -> GraphThreads:
        """The same, seen through the graph that is made with what a run was configured with."""
        seen = GraphThreads(self._source, self._saver)
        seen._configurable = configurable_of(request, addressed=False)
        return seen

    def _opened(self, thread_id: str, use: GraphUse) -> AbstractAsyncContextManager[Graph]:
        place = root_of(thread_id)["configurable"]
        return self._source.opened({"configurable": {**self._configurable, **place}}, use)

    @property
    def keeps_state(self) -> bool:
        """Whether the graph remembers its threads."""
        return self._saver is not None

    # Reading.

    async def state(
        self,
        thread_id: str,
        checkpoint: Mapping[str, JSON] | None = None,
        *,
        subgraphs: bool = False,
    ) -> JSON:
        """A thread's state: the latest, or that of a checkpoint.

        What the graph cannot compute of it is left out; see `langgraph_views`.

        Raises:
            InvalidValue: the graph cannot compute anything of it.
            AgentFault: there is no graph, as what makes it has failed.

        """
        config = _at(thread_id, checkpoint)
        async with self._opened(thread_id, "threads.read") as graph:
            try:
                return _state(await read_state(graph, config, subgraphs=subgraphs))
            except REFUSALS as error:
                raise _unreadable(thread_id, error) from error

    async def history(
        self,
        thread_id: str,
        *,
        limit: int = 10,
        before: str | Mapping[str, JSON] | None = None,
        metadata: Mapping[str, JSON] | None = None,
        checkpoint: Mapping[str, JSON] | None = None,
    ) -> list[JSON]:
        """A thread's states, latest first.

        Args:
            thread_id: the thread.
            limit: most states to answer with.
            before: a checkpoint, or its id: only earlier ones.
            metadata: what theirs must hold.
            checkpoint: whose namespace to look in.

        Raises:
            InvalidValue: the graph cannot compute anything of one of them.
            AgentFault: there is no graph, as what makes it has failed.

        """
        if isinstance(before, str):
            before = {"checkpoint_id": before}
        async with self._opened(thread_id, "threads.read") as graph:
            try:
                found = await read_history(
                    graph,
                    _at(thread_id, checkpoint),
                    filter=dict(metadata) if metadata else None,
                    before=None if before is None else _at(thread_id, before),
                    limit=limit,
                )
            except REFUSALS as error:
                raise _unreadable(thread_id, error) from error
        return [_state(snapshot) for snapshot in found]

    # Changing.

    async def update(
        self,
        thread_id: str,
        values: JSON,
        *,
        as_node: str | None = None,
        checkpoint: Mapping[str, JSON] | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> JSON:
        """Change a thread's state as if a node had written `values`.

        Args:
            thread_id: the thread.
            values: the node's output; a list is several updates, one after the other.
            as_node: the node; `None` is the last one that wrote.
            checkpoint: the state to change; `None` is the latest.
            metadata: kept with the new checkpoint.

        Returns:
            the new checkpoint.

        Raises:
            InvalidValue: the graph does not take it.

        """
        config = _at(thread_id, checkpoint)
        config["metadata"] = dict(metadata or {})
        async with self._opened(thread_id, "threads.update") as graph:
            try:
                new = await change_state(graph, config, values, as_node)
            except REFUSALS as error:
                raise _refused("values", values, error) from error
        return _checkpoint(new)

    async def apply(
        self, thread_id: str, supersteps: Sequence[Sequence[Mapping[str, JSON]]]
    ) -> None:
        """Give a thread a state by several steps, each of some updates.

        Args:
            thread_id: the thread.
            supersteps: of updates with `values` or a `command`, and `as_node`.

        Raises:
            InvalidValue: the graph does not take them.

        """
        steps = [[_update(update) for update in updates] for updates in supersteps]
        async with self._opened(thread_id, "threads.update") as graph:
            try:
                await graph.abulk_update_state(root_of(thread_id), steps)
            except REFUSALS as error:
                raise _refused("supersteps", "what was given", error) from error

    async def copy(self, source: str, target: str) -> None:
        """Give a new thread all checkpoints of another."""
        saver = self._saver
        if saver is None:
            return
        thread: RunnableConfig = {"configurable": {"thread_id": source}}
        if type(saver).acopy_thread is not BaseCheckpointSaver.acopy_thread:
            await saver.acopy_thread(source, target)
            return
        found: list[CheckpointTuple] = [each async for each in saver.alist(thread)]
        saved: set[tuple[str, str, str | int | float]] = set()
        for each in sorted(found, key=lambda found: found.checkpoint["id"]):
            await put_back(saver, target, each, each.pending_writes, saved)

    async def forget(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread."""
        if self._saver is not None:
            await self._saver.adelete_thread(thread_id)


def _at(thread_id: str, checkpoint: Mapping[str, JSON] | None) -> RunnableConfig:
    configurable: dict[str, Any] = {"checkpoint_ns": ""}
    for key in ("checkpoint_ns", "checkpoint_id", "checkpoint_map"):
        value = (checkpoint or {}).get(key)
        if value is not None:
            configurable[key] = value
    return {"configurable": {**configurable, "thread_id": thread_id}}


def _update(update: Mapping[str, JSON]) -> StateUpdate:
    command = command_of(update.get("command"))
    return StateUpdate(update.get("values") if command is None else command, update.get("as_node"))  # type: ignore[arg-type]


def _unreadable(thread_id: str, error: Exception) -> InvalidValue:
    fault = f"its graph cannot read its state ({type(error).__name__}: {error})"
    return InvalidValue("thread_id", thread_id, f"{fault}; change the state, or delete the thread")


def _refused(field: str, value: JSON, error: Exception) -> InvalidValue:
    return InvalidValue(field, value, f"give what the graph takes ({error})")


def _state(snapshot: StateSnapshot) -> dict[str, JSON]:
    checkpoint = _checkpoint(snapshot.config)
    parent = _checkpoint(snapshot.parent_config)
    return {
        "values": to_json(snapshot.values),
        "next": list(snapshot.next),
        "tasks": [_task(task) for task in snapshot.tasks],
        "metadata": to_json(snapshot.metadata or {}),
        "created_at": snapshot.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": interrupts(snapshot.interrupts),
        "checkpoint_id": checkpoint and checkpoint["checkpoint_id"],
        "parent_checkpoint_id": parent and parent["checkpoint_id"],
    }


def _task(task: Any) -> JSON:
    nested = task.state
    is_state = isinstance(nested, StateSnapshot)
    return {
        "id": task.id,
        "name": task.name,
        "path": to_json(task.path),
        "error": None if task.error is None else str(task.error),
        "interrupts": interrupts(task.interrupts),
        "checkpoint": None if nested is None or is_state else _checkpoint(nested),
        "state": _state(nested) if is_state else None,
        "result": to_json(task.result),
    }


def interrupts(raised: Iterable[Any]) -> list[JSON]:
    """Questions to a human, each with the id that answers it."""
    return [_interrupt(each) for each in raised]


def _interrupt(raised: Any) -> JSON:
    interrupt: dict[str, JSON] = {"value": to_json(raised.value), "id": raised.id}
    if (schema := getattr(raised, "response_schema", None)) is not None:
        interrupt["response_schema"] = to_json(schema)
    return interrupt


def _checkpoint(config: RunnableConfig | None) -> dict[str, JSON] | None:
    if config is None:
        return None
    namespace, checkpoint_id = place_of(config)
    configurable = config["configurable"]
    checkpoint: dict[str, JSON] = {
        "thread_id": configurable.get("thread_id"),
        "checkpoint_ns": namespace,
        "checkpoint_id": checkpoint_id or None,
    }
    if configurable.get("checkpoint_map"):
        checkpoint["checkpoint_map"] = to_json(configurable["checkpoint_map"])
    return checkpoint
