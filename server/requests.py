"""From the body of a request to the run that the runtime is asked for."""

from __future__ import annotations

from typing import Any

from ..actors.options import RunOptions
from ..domain.payload import JSON
from ..domain.views import ThreadSnapshot
from .bodies import RunBody
from .catalogue import Assistant
from .checkpoints import address
from .errors import Invalid, Refused
from .shapes import OURS

_MODES = {"messages": "messages-whole"}
"""Stream modes that have another name in the runtime."""
_ADDRESS = ("thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")


def modes_of(body: RunBody) -> list[str]:
    """What to stream."""
    asked = body.stream_mode or ["values"]
    return [asked] if isinstance(asked, str) else list(dict.fromkeys(asked))


def options_of(
    body: RunBody, assistant: Assistant, thread: ThreadSnapshot | None, user_id: str | None
) -> RunOptions:
    """The options of the run that a body asks for.

    Args:
        body: the body.
        assistant: whom it names.
        thread: the thread; `None` for one that lives as long as the run.
        user_id: who asks.

    Raises:
        Refused: the body contradicts itself.

    """
    return RunOptions(
        input=body.input,
        multitask_strategy=body.multitask_strategy or "enqueue",
        user_id=user_id,
        metadata=_metadata(body, assistant, thread),
        config=_config(body, assistant),
        context=_context(body),
        command=_command(body),
        stream_mode=[_MODES.get(mode, mode) for mode in modes_of(body)],
        interrupt_before=body.interrupt_before,
        interrupt_after=body.interrupt_after,
        scope="temporary_thread" if thread is None else "stateful",
        on_disconnect=body.on_disconnect or "continue",
        after_seconds=max(0.0, body.after_seconds or 0.0),
        resumable=bool(body.stream_resumable),
        forget_on_rollback=True,
        host_data={OURS: _kept(body)},
    )


def _command(body: RunBody) -> JSON:
    if body.command is None:
        return None
    given = body.command.model_dump(exclude_none=True)
    return given or None


def _metadata(
    body: RunBody, assistant: Assistant, thread: ThreadSnapshot | None
) -> dict[str, JSON]:
    config = _section(body, "metadata")
    ours = {"graph_id": assistant.name, "assistant_id": assistant.assistant_id}
    return {**(thread.metadata if thread else {}), **config, **(body.metadata or {}), **ours}


def _config(body: RunBody, assistant: Assistant) -> dict[str, JSON]:
    config = dict(body.config or {})
    configurable = {**_section(body, "configurable"), **(body.context or {})}
    address(configurable)  # whoever gives it there
    configurable |= address(body.checkpoint, body.checkpoint_id)
    configurable |= {"graph_id": assistant.name, "assistant_id": assistant.assistant_id}
    configurable.pop("thread_id", None)
    config["configurable"] = configurable
    config["stream_subgraphs"] = bool(body.stream_subgraphs)
    durability = body.durability
    if durability is None and body.checkpoint_during is not None:
        durability = "async" if body.checkpoint_during else "exit"
    if durability is not None:
        config["durability"] = durability
    return config


def _context(body: RunBody) -> dict[str, JSON]:
    configurable = _section(body, "configurable")
    if body.context and configurable:
        raise Refused(400, "Give either config.configurable or context, not both.")
    if body.context is not None:
        return body.context
    return {
        key: value
        for key, value in configurable.items()
        if key not in _ADDRESS and not key.startswith("__")
    }


def _section(body: RunBody, name: str) -> dict[str, Any]:
    section = (body.config or {}).get(name)
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise Invalid(f"config.{name}", "give an object")
    return section


def _kept(body: RunBody) -> dict[str, JSON]:
    """What the runtime has no field for."""
    kept: dict[str, JSON] = {"stream_mode": modes_of(body)}
    if body.webhook is not None:
        kept["webhook"] = body.webhook
    if body.feedback_keys is not None:
        kept["feedback_keys"] = body.feedback_keys
    return kept
