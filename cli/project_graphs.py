"""Graphs of a project: made by their factories, and given a checkpointer where they have none."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from sqlalchemy import make_url

from .loading import Unusable

_SCHEMA = "langgraph"
"""Of PostgreSQL: both LangGraph and callboard have a table called `checkpoints`."""


@asynccontextmanager
async def checkpointer(store: str | None) -> AsyncIterator[BaseCheckpointSaver[Any] | None]:
    """Keeps the states of graphs beside a store; `None` for a store in memory.

    For SQLite it is a file of its own beside the store's: `runs.db`, `runs.checkpoints.db`.
    On PostgreSQL, a schema of its own.

    Args:
        store: the URL of the store.

    Raises:
        Unusable: what it takes is not installed.

    """
    if store is None:
        yield None
        return
    url = make_url(store)
    kind = url.get_backend_name()
    try:
        saver = _sqlite(str(url.database)) if kind == "sqlite" else _postgresql(url)
    except ImportError as error:
        raise Unusable(f"graphs need {error.name} to keep their state in {kind}") from error
    async with saver as opened:
        await opened.setup()
        yield opened


def _sqlite(path: str) -> AbstractAsyncContextManager[Any]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver  # noqa: PLC0415

    stem = path.removesuffix(".db")
    return AsyncSqliteSaver.from_conn_string(f"{stem}.checkpoints.db")


@asynccontextmanager
async def _postgresql(url: Any) -> AsyncIterator[Any]:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver  # noqa: PLC0415

    plain = url.set(drivername="postgresql").update_query_dict(
        {"options": f"-csearch_path={_SCHEMA}"}
    )
    address = plain.render_as_string(hide_password=False)
    async with AsyncPostgresSaver.from_conn_string(address) as saver:
        connection: Any = saver.conn  # one, not a pool
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        yield saver


async def made(
    found: Mapping[str, Any], saver: BaseCheckpointSaver[Any] | None, stack: AsyncExitStack
) -> dict[str, Any]:
    """The graphs, ready to be run.

    Args:
        found: compiled graphs, graphs to compile, or what makes them, by name.
        saver: for those without a checkpointer.
        stack: what factories open is closed with it.

    Raises:
        Unusable: one of them is none of that.

    """
    return {name: _kept(name, await _made(each, stack), saver) for name, each in found.items()}


async def _made(found: Any, stack: AsyncExitStack) -> Any:
    """What a factory makes: a graph, one to come, or one that is open for a while."""
    if isinstance(found, StateGraph | Pregel) or not callable(found):
        return found
    takes = [
        each
        for each in inspect.signature(found).parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_KEYWORD
    ]
    result = found(*({"configurable": {}} for _ in takes))
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aenter__"):
        result = await stack.enter_async_context(result)
    elif hasattr(result, "__enter__"):
        result = stack.enter_context(result)
    return result


def _kept(name: str, graph: Any, saver: BaseCheckpointSaver[Any] | None) -> Any:
    if isinstance(graph, StateGraph):
        graph = graph.compile()
    if not isinstance(graph, Pregel):
        raise Unusable(f"graph {name!r} is a {type(graph).__name__}: give a graph, or make one")
    if graph.checkpointer is None and saver is not None:
        return graph.copy({"checkpointer": saver})
    return graph
