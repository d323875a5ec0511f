"""What a run asks of a graph, checked, in LangGraph's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.types import Command, Durability, Send

from ...domain.errors import InvalidValue
from ...domain.payload import JSON
from .langgraph_frames import graph_modes

if TYPE_CHECKING:
    from ...domain.commands import CreateRunCommand
    from ..context import RunContext

_Limit: TypeAlias = Literal["recursion_limit", "max_concurrency"]
_LIMITS: tuple[_Limit, ...] = ("recursion_limit", "max_concurrency")
_DURABILITIES = ("sync", "async", "exit")
_COMMAND = ("resume", "update", "goto")
_ADDRESS = ("checkpoint_id", "checkpoint_ns", "checkpoint_map")
"""Keys by which a run may start from an older checkpoint of its thread."""
_ENGINE = "__"
"""How the names of what the engine itself keeps in a config begin."""


def check(request: CreateRunCommand | RunContext) -> None:
    """Find what a graph could not be run with, before anything has started.

    Raises:
        InvalidValue: `stream_mode`, `command` or `config` cannot be used.

    """
    graph_modes(request.stream_mode)
    command_of(request.command)
    _limits(request.config)
    _tags(request.config)
    durability_of(request.config)
    for name in ("configurable", "metadata"):
        _section(request.config, name)


def config_of(run: RunContext, *, resumed: bool) -> RunnableConfig:
    """The graph's config: the caller's, with the ids that are not his to choose.

    Args:
        run: the run.
        resumed: it goes on from its own last checkpoint, wherever it started.

    Raises:
        InvalidValue: a part of `config` cannot be used.

    """
    configurable = configurable_of(run, addressed=not resumed)
    configurable.update(thread_id=run.thread_id, run_id=run.run_id)
    metadata = {**_section(run.config, "metadata"), **run.metadata, "run_id": run.run_id}
    config = RunnableConfig(configurable=configurable, metadata=metadata, tags=_tags(run.config))
    for name, limit in _limits(run.config).items():
        config[name] = limit
    if run.attempt == 1 and (trace := _uuid(run.run_id)) is not None:
        config["run_id"] = trace  # a tracer takes an id once
    return config


def configurable_of(request: CreateRunCommand | RunContext, *, addressed: bool) -> dict[str, JSON]:
    """What the caller configured, and who he is.

    Args:
        request: the run.
        addressed: with what names a checkpoint.

    Raises:
        InvalidValue: `config.configurable` is no object.

    """
    configurable = {
        key: value
        for key, value in _section(request.config, "configurable").items()
        if not key.startswith(_ENGINE) and (addressed or key not in _ADDRESS)
    }
    if request.user_id is not None:
        configurable["user_id"] = request.user_id
    return configurable


def is_addressed(run: RunContext) -> bool:
    """Whether a run names the checkpoint that it is to start from."""
    section = _section(run.config, "configurable")
    return any(section.get(key) for key in _ADDRESS)


def command_of(document: JSON) -> Command[str] | None:
    """The command that a run's `command` describes; `None` when there is none.

    Raises:
        InvalidValue: it is no object of `resume`, `update` and `goto`, or one of them is none.

    """
    if document is None:
        return None
    remedy = f"give an object with any of {', '.join(_COMMAND)}"
    if not isinstance(document, Mapping) or not set(document) <= set(_COMMAND):
        raise InvalidValue("command", document, remedy)
    if all(document.get(key) is None for key in _COMMAND):
        raise InvalidValue("command", document, remedy)
    goto = document.get("goto")
    targets = goto if isinstance(goto, list) else [] if goto is None else [goto]
    return Command(
        resume=document.get("resume"),
        update=_update(document.get("update")),
        goto=[_target(target) for target in targets],
    )


def durability_of(config: Mapping[str, JSON]) -> Durability | None:
    """When checkpoints are saved: before the next step, beside it, or at the end.

    Raises:
        InvalidValue: `config.durability` is none of `sync`, `async` and `exit`.

    """
    chosen = config.get("durability")
    if chosen is None or chosen in _DURABILITIES:
        durability: Durability | None = chosen
        return durability
    raise InvalidValue("config.durability", chosen, f"choose one of {', '.join(_DURABILITIES)}")


def _update(update: JSON) -> JSON:
    """What a command writes; LangGraph knows pairs by their being tuples, which JSON has not."""
    if update is None or isinstance(update, Mapping):
        return update
    if isinstance(update, list) and all(map(_is_pair, update)):
        return [tuple(pair) for pair in update]
    raise InvalidValue(
        "command.update", update, "give an object of channels, or a list of channel and value"
    )


def _is_pair(pair: JSON) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)


def _target(target: JSON) -> str | Send:
    if isinstance(target, str) and target:
        return target
    if isinstance(target, Mapping) and isinstance(target.get("node"), str):
        for given in ("input", "arg"):
            if given in target:
                return Send(target["node"], target[given])
    raise InvalidValue("command.goto", target, "give a node's name, or an object of node and input")


def _limits(config: Mapping[str, JSON]) -> dict[_Limit, int]:
    limits: dict[_Limit, int] = {}
    for name in _LIMITS:
        value = config.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InvalidValue(f"config.{name}", value, "give a whole number, 1 or more")
        limits[name] = value
    return limits


def _tags(config: Mapping[str, JSON]) -> list[str]:
    tags = config.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidValue("config.tags", tags, "give a list of strings")
    return tags


def _section(config: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    section = config.get(name) or {}
    if not isinstance(section, Mapping):
        raise InvalidValue(f"config.{name}", section, "give an object")
    return section


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
