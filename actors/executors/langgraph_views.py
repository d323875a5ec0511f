"""States that a graph cannot compute, and how they are read and changed all the same.

What tasks wrote is saved before the graph's reducers see it. What they do not take stays with the
checkpoint, and whoever computes its state fails from then on. So does who prepares the tasks to
come, where a value does not fit the schema that a node reads by. Then the checkpoint is shown
to the graph with less:

| shown | what fails |
| --- | --- |
| all of it | nothing |
| no writes but questions and errors | a reducer, at a write that is not applied yet |
| no tasks to come either | a node's schema, at a value that is in the state |

In the other direction, nothing that a graph refuses is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.errors import InvalidUpdateError
from langgraph.graph import END
from langgraph.types import Command, StateSnapshot

from ...domain.errors import CallboardError
from .langgraph_saver import COMMANDS, takes_path

if TYPE_CHECKING:
    from .langgraph import Graph

_Show: TypeAlias = Callable[[CheckpointTuple], CheckpointTuple]

REFUSALS = (
    InvalidUpdateError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
)
"""What a graph's reducers and branches raise at values they do not take. A saver's errors are
none of these."""
_SENDS = ("__pregel_tasks", "pending_sends")
"""Where a checkpoint keeps the tasks that were sent for; earlier checkpoints had it elsewhere."""


async def read_state(
    graph: Graph, config: RunnableConfig, *, subgraphs: bool = False
) -> StateSnapshot:
    """A state, with as much of it as the graph can compute.

    Raises:
        Exception: whatever the graph or its checkpointer raises when the least is shown.

    """
    for show in (_whole, _settled):
        try:
            return await _shown(graph, show).aget_state(config, subgraphs=subgraphs)
        except CallboardError:
            raise
        except Exception:  # noqa: BLE001, S112 - reducers are the user's: see what goes without
            continue
    return await _shown(graph, _at_rest(graph)).aget_state(config, subgraphs=subgraphs)


async def read_history(graph: Graph, config: RunnableConfig, **how: Any) -> list[StateSnapshot]:
    """States, latest first; one that cannot be computed does not hide the others.

    Args:
        graph: the graph, with its checkpointer.
        config: of which thread and namespace.
        how: what `aget_state_history` takes.

    Raises:
        Exception: whatever the graph or its checkpointer raises when the least is shown.

    """
    try:
        return [state async for state in graph.aget_state_history(config, **how)]
    except CallboardError:
        raise
    except Exception:  # noqa: BLE001 - reducers are the user's: one by one it may go
        places = [found.config async for found in _saver_of(graph).alist(config, **how)]
    return [await read_state(graph, place) for place in places]


async def change_state(
    graph: Graph, config: RunnableConfig, values: Any, as_node: str | None
) -> RunnableConfig:
    """Change a state, also one that the graph cannot compute; what it refuses is not saved.

    Args:
        graph: the graph, with its checkpointer.
        config: which state.
        values: the output of a node.
        as_node: the node; `None` is the last one that wrote, `END` drops the tasks to come.

    Returns:
        the config of the new checkpoint.

    Raises:
        Exception: whatever the graph or its checkpointer raises.

    """
    try:
        return await _changed(graph, _whole, config, values, as_node)
    except CallboardError:
        raise
    except REFUSALS:  # perhaps of the tasks to come: without them it is told by the values alone
        show = _at_rest(graph) if as_node == END else _unwritten
        return await _changed(graph, show, config, values, as_node)


async def try_update(graph: Graph, config: RunnableConfig, command: Command[Any]) -> None:
    """Find whether the graph takes what a command writes, before that is saved.

    Raises:
        Exception: whatever the graph's reducers raise.

    """
    at_rest = _at_rest(graph)
    writes = [(COMMANDS, channel, value) for channel, value in command._update_as_tuples()]

    def commanded(found: CheckpointTuple) -> CheckpointTuple:
        return at_rest(found)._replace(pending_writes=writes)

    await _shown(graph, commanded).aget_state(config)


# What is shown.


def _whole(found: CheckpointTuple) -> CheckpointTuple:
    return found


def _settled(found: CheckpointTuple) -> CheckpointTuple:
    """Without what waits to be applied."""
    writes = found.pending_writes or ()
    kept = [write for write in writes if write[0] != COMMANDS and write[1] in WRITES_IDX_MAP]
    return found._replace(pending_writes=kept)


def _unwritten(found: CheckpointTuple) -> CheckpointTuple:
    """With what was written unknown: then LangGraph prepares no task to change a state."""
    return found._replace(pending_writes=None)


def _at_rest(graph: Graph) -> _Show:
    """Without tasks to come: every node has seen everything."""
    inner = (subgraph for _, subgraph in graph.get_subgraphs(recurse=True))
    nodes = {name for each in (graph, *inner) for name in getattr(each, "nodes", ())}

    def show(found: CheckpointTuple) -> CheckpointTuple:
        checkpoint: dict[str, Any] = _without(_SENDS, found.checkpoint)
        checkpoint["channel_values"] = _without(_SENDS, found.checkpoint["channel_values"])
        seen, versions = found.checkpoint["versions_seen"], found.checkpoint["channel_versions"]
        checkpoint["versions_seen"] = {**seen, **{name: dict(versions) for name in nodes}}
        return found._replace(checkpoint=cast("Checkpoint", checkpoint), pending_writes=[])

    return show


def _without(names: Collection[str], held: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in held.items() if name not in names}


# How it is shown.


def _saver_of(graph: Graph) -> BaseCheckpointSaver[Any]:
    return cast("BaseCheckpointSaver[Any]", graph.checkpointer)


def _shown(graph: Graph, show: _Show) -> Graph:
    if show is _whole:
        return graph
    return graph.copy({"checkpointer": _ShowingSaver(_saver_of(graph), show)})


async def _changed(
    graph: Graph, show: _Show, config: RunnableConfig, values: Any, as_node: str | None
) -> RunnableConfig:
    saver = _ShowingSaver(_saver_of(graph), show)
    changed = graph.copy({"checkpointer": saver})
    new = await changed.aupdate_state(config, values, as_node=as_node)
    await saver.flush()
    return new


class _ShowingSaver(BaseCheckpointSaver[Any]):
    """Shows a saver's checkpoints otherwise than they are, to read or to change a state once.

    What tasks write is held back until the checkpoint that follows is saved: until then the
    graph may refuse it.

    Args:
        inner: the saver.
        show: what becomes of a checkpoint that is read.

    """

    def __init__(self, inner: BaseCheckpointSaver[Any], show: _Show) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner
        self._show = show
        self._takes_path = takes_path(type(inner).aput_writes)
        self._held: list[tuple[RunnableConfig, Sequence[tuple[str, Any]], str, str]] = []

    @property
    def config_specs(self) -> list[Any]:
        """As the saver has it."""
        return self._inner.config_specs

    def with_allowlist(
        self, extra_allowlist: Collection[tuple[str, ...]]
    ) -> BaseCheckpointSaver[Any]:
        """The same for the saver's clone."""
        clone = _ShowingSaver(self._inner.with_allowlist(extra_allowlist), self._show)
        clone._held = self._held
        return clone

    def get_next_version(self, current: Any, channel: None) -> Any:
        """As the saver has it."""
        return self._inner.get_next_version(current, channel)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint, as it is to be shown."""
        await self.flush()  # of a step that the graph has taken
        found = await self._inner.aget_tuple(config)
        return None if found is None else self._show(found)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As the saver has it."""
        return await self._inner.aget_delta_channel_history(config=config, channels=channels)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, after the writes that have led to it."""
        await self.flush()
        return await self._inner.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Hold what a task wrote back."""
        self._held.append((config, list(writes), task_id, task_path))

    async def flush(self) -> None:
        """Save what is held back."""
        while self._held:
            config, writes, task_id, task_path = self._held.pop(0)
            path = (task_path,) if self._takes_path else ()
            await self._inner.aput_writes(config, writes, task_id, *path)
