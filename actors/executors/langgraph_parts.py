"""A graph's stream: its parts, each with its namespace, mode and data."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

from langgraph.channels import EphemeralValue

from .langgraph_frames import graph_modes
from .langgraph_request import config_of, durability_of
from .langgraph_restart import Start
from .langgraph_usage import TokenCount

if TYPE_CHECKING:
    from ..context import RunContext
    from .langgraph import Graph

Part: TypeAlias = tuple[tuple[str, ...], str, Any]
"""Namespace, mode, data."""

_OURS = ("values", "updates")
"""Streamed whatever a run asks for: they tell its messages, its output and its stops."""
_WHOLE = "checkpoints"
"""Streamed as well where the values are not the whole state."""
_EVENTS = "events"


def hidden_in(graph: Graph) -> frozenset[str]:
    """The channels of a graph's state that are none of its output.

    None, if what is in them lasts for a step alone: nothing of the state is missing then.
    """
    shown = graph.output_channels
    hidden = () if isinstance(shown, str) else {*graph.stream_channels_list}.difference(shown)
    lasting = any(not isinstance(graph.channels[name], EphemeralValue) for name in hidden)
    return frozenset(hidden) if lasting else frozenset()


async def parts_of(
    graph: Graph, run: RunContext, start: Start, *, whole: bool
) -> AsyncGenerator[Part, None]:
    """Run the graph, and yield the parts of its stream as they come.

    Values and updates tell of the graph's output alone; `whole` adds the checkpoints, which
    tell of all its state.
    """
    subgraphs = run.config.get("stream_subgraphs") is True
    config = config_of(run, resumed=start.resumed)
    config["callbacks"] = [TokenCount(run)]
    ours = (*_OURS, _WHOLE) if whole else _OURS
    modes = dict.fromkeys((*ours, *graph_modes(run.stream_mode)))
    arguments: dict[str, Any] = {
        "context": dict(run.context) or None,
        "stream_mode": [mode for mode in modes if mode != _EVENTS],
        "output_keys": graph.output_channels,
        "interrupt_before": _nodes(run.interrupt_before),
        "interrupt_after": _nodes(run.interrupt_after),
        "subgraphs": subgraphs,
        "durability": durability_of(run.config),
    }
    if _EVENTS in modes:
        events: Any = graph.astream_events(start.given, config, version="v2", **arguments)
        parts = _among_events(events, subgraphs)
    else:
        parts = _plain(graph.astream(start.given, config, **arguments), subgraphs)
    async with aclosing(parts):
        async for part in parts:
            yield part


async def _plain(stream: AsyncIterator[Any], subgraphs: bool) -> AsyncGenerator[Part, None]:
    async with aclosing(stream):  # type: ignore[type-var] # LangGraph's is a generator
        async for part in stream:
            yield part if subgraphs else ((), *part)


async def _among_events(stream: Any, subgraphs: bool) -> AsyncGenerator[Part, None]:
    """The events of everything in the graph; those of the graph itself hold its own parts."""
    root: str | None = None
    async with aclosing(stream):
        async for event in stream:
            root = root or event["run_id"]
            if event["event"] == "on_chain_stream" and event["run_id"] == root:
                part = event["data"]["chunk"]
                yield part if subgraphs else ((), *part)
            else:
                yield (), _EVENTS, event


def _nodes(names: tuple[str, ...] | str) -> Any:
    return names if names == "*" else list(names) or None
