"""Graphs of a project, and what makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from ..actors.executors.graphs import GraphFactory, GraphUse
from .loading import Unusable

_RUNTIMES = ("ServerRuntime", "_ExecutionRuntime", "_ReadRuntime")
"""What the platform's clients call what a factory is told beside the config."""
_CONFIG, _RUNTIME = "config", "runtime"


async def made(found: Mapping[str, Any], stack: AsyncExitStack) -> dict[str, Any]:
    """The graphs, ready to be run.

    A factory that takes nothing makes one graph, now. One that takes the config, or the
    platform's `ServerRuntime`, makes a graph for each run, and for each look at a state.

    Args:
        found: compiled graphs, graphs to compile, or what makes them, by name.
        stack: what factories open now is closed with it.

    Raises:
        Unusable: one of them is none of that.

    """
    return {name: await _ready(name, each, stack) for name, each in found.items()}


async def _ready(name: str, found: Any, stack: AsyncExitStack) -> Any:
    if not isinstance(found, StateGraph | Pregel) and callable(found):
        wants = _wants(name, found)
        if wants:
            return GraphFactory(_maker(found, wants), name)
        found = await _made(found, stack)
    if not isinstance(found, StateGraph | Pregel):
        raise Unusable(f"graph {name!r} is a {type(found).__name__}: give a graph, or make one")
    return found


async def _made(factory: Callable[[], Any], stack: AsyncExitStack) -> Any:
    """What a factory makes: a graph, one to come, or one that is open for a while."""
    result = factory()
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aenter__"):
        result = await stack.enter_async_context(result)
    elif hasattr(result, "__enter__"):
        result = stack.enter_context(result)
    return result


def _wants(name: str, factory: Callable[..., Any]) -> dict[str, str]:
    """What a factory's parameters are given: the config, or the runtime."""
    parameters = inspect.signature(factory).parameters.values()
    wants = {each.name: _meant(each) for each in parameters if each.kind not in _REST}
    if len(wants) != len(set(wants.values())):
        raise Unusable(
            f"graph {name!r} is made by a function of {', '.join(wants)}: "
            "let it take a RunnableConfig, a ServerRuntime, both or nothing"
        )
    return wants


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _meant(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return _RUNTIME if any(each in text for each in _RUNTIMES) else _CONFIG


def _maker(factory: Callable[..., Any], wants: Mapping[str, str]) -> Callable[..., Any]:
    def make(config: Any, use: GraphUse, context: Any) -> Any:
        given = {_CONFIG: config}
        if _RUNTIME in wants.values():
            given[_RUNTIME] = _runtime(use, context)
        return factory(**{name: given[meant] for name, meant in wants.items()})

    return make


def _runtime(use: GraphUse, context: Any) -> Any:
    from langgraph_sdk.runtime import (  # noqa: PLC0415 - who names it has it
        _ExecutionRuntime,
        _ReadRuntime,
    )

    nothing: Any = None  # there is no long-term store
    if use == "threads.create_run":
        return _ExecutionRuntime(access_context=use, store=nothing, context=context)
    return _ReadRuntime(access_context=use, store=nothing)
