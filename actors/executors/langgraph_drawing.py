"""What a graph looks like: its nodes and edges, and the shapes of what it takes and gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

from langgraph.graph import StateGraph
from pydantic import BaseModel, create_model

from ...domain.payload import JSON
from .langgraph_frames import to_json
from .langgraph_source import GraphSource

if TYPE_CHECKING:
    from .langgraph import Graph


class GraphDrawing:
    """Tells what a graph is made of, as plain JSON.

    Args:
        source: gives the graph.

    """

    def __init__(self, source: GraphSource) -> None:
        self._source = source

    def _opened(self) -> AbstractAsyncContextManager[Graph]:
        return self._source.opened({"configurable": {}}, "assistants.read")

    async def drawing(self, xray: int | bool = False) -> JSON:
        """Its nodes and edges.

        Args:
            xray: how many levels of subgraphs to draw as well; `True` for all.

        """
        async with self._opened() as graph:
            return to_json((await graph.aget_graph(xray=xray)).to_json())

    async def schemas(self) -> dict[str, JSON]:
        """The JSON Schemas of input, output, state, config and context; `None` where unknown."""
        async with self._opened() as graph:
            return _schemas(graph)

    async def subgraphs(
        self, namespace: str | None = None, *, recurse: bool = False
    ) -> dict[str, JSON]:
        """The schemas of its subgraphs, by namespace."""
        async with self._opened() as graph:
            found = graph.aget_subgraphs(namespace=namespace, recurse=recurse)
            return {name: _schemas(subgraph) async for name, subgraph in found}


def _schemas(graph: Any) -> dict[str, JSON]:
    builder = getattr(graph, "builder", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the config's schema is deprecated, and still asked for
        schemas = {
            "config_schema": _given(graph.get_config_jsonschema),
            "context_schema": _given(graph.get_context_jsonschema),
        }
        for name in ("input_schema", "output_schema", "state_schema"):
            kind = getattr(builder, name, None) if isinstance(builder, StateGraph) else None
            schemas[name] = None if kind is None else _given(partial(_shape, kind))
    return schemas


def _shape(kind: Any) -> JSON:
    """The schema of a state, by its fields: pydantic takes no plain `TypedDict` on Python 3.11."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_json_schema()
    fields: dict[str, Any] = {name: (hint, ...) for name, hint in get_type_hints(kind).items()}
    return create_model(kind.__name__, **fields).model_json_schema()


def _given(make: Callable[[], Any]) -> JSON:
    try:
        return to_json(make())
    except Exception:  # noqa: BLE001 - the types are the user's, and not all have a schema
        return None
