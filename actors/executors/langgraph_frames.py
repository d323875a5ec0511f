"""What a graph streams, as the names and the plain JSON of frames."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage
from langgraph.types import Send
from pydantic import BaseModel

from ...domain.errors import InvalidValue
from ...domain.payload import JSON

STREAM_MODES: Mapping[str, str] = {
    "values": "values",
    "updates": "updates",
    "messages": "messages",
    "messages-tuple": "messages",
    "messages-whole": "messages",
    "custom": "custom",
    "debug": "debug",
    "tasks": "tasks",
    "checkpoints": "checkpoints",
    "events": "events",
}
"""What a run may ask for, and LangGraph's word for it, which also names the frames.

`messages-whole` gives `messages/metadata`, `messages/partial` and `messages/complete` instead:
what a model has said so far, where the others give each piece by itself. `events` is no mode
of LangGraph's: it has the events of LangChain's own stream."""

_MAX_DEPTH = 80
"""Less than a frame may be nested, so that no state is refused."""
_ATOMS = frozenset({bool, int, type(None)})
_ENGINE = "__pregel_"
"""Keys of LangGraph's own, which hold objects of the engine."""


def graph_modes(asked: Sequence[str]) -> tuple[str, ...]:
    """LangGraph's modes for the modes a run asked for, each once; `values` by default.

    Raises:
        InvalidValue: a mode is unknown.

    """
    modes = dict.fromkeys(STREAM_MODES.get(mode, "") for mode in asked or ("values",))
    if "" in modes:
        unknown = next(mode for mode in asked if mode not in STREAM_MODES)
        raise InvalidValue("stream_mode", unknown, f"choose one of {', '.join(STREAM_MODES)}")
    return tuple(modes)


def frame_name(mode: str, namespace: Sequence[str]) -> str:
    """The mode, and for a subgraph its namespace: `updates|researcher:4f…|search:9c…`."""
    return "|".join((mode, *namespace))


def to_json(value: Any) -> JSON:
    """`value` as plain JSON. What has no form in JSON becomes its `repr`; never raises.

    Messages and models become objects of their fields, sets lists, bytes base64, dates
    ISO 8601, NaN and infinity null.
    """
    return _json(value, ())


def _json(value: Any, inside: tuple[int, ...]) -> JSON:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is str:
        return value if value.isascii() else _text(value)
    if len(inside) >= _MAX_DEPTH or id(value) in inside:
        return _repr(value)
    inside = (*inside, id(value))
    if kind is dict:
        return _object(value, inside)
    if kind is list or kind is tuple:
        return [_json(item, inside) for item in value]
    return _other(value, inside)


def _other(value: Any, inside: tuple[int, ...]) -> JSON:
    try:
        for kinds, convert in _FORMS:
            if isinstance(value, kinds):
                return convert(value, inside)
        if is_dataclass(value):
            named = {f.name: getattr(value, f.name) for f in fields(value)}
            return _object(named, inside)
    except Exception:  # noqa: BLE001 - the objects are the user's, and a frame must go out
        return _repr(value)
    return _repr(value)


def _object(value: Mapping[Any, Any], inside: tuple[int, ...]) -> dict[str, JSON]:
    return {
        _text(str(key)): _json(item, inside)
        for key, item in value.items()
        if not (isinstance(key, str) and key.startswith(_ENGINE))
    }


def _set(value: Any, inside: tuple[int, ...]) -> JSON:
    try:
        ordered = sorted(value)
    except TypeError:
        ordered = sorted(value, key=repr)
    return [_json(item, inside) for item in ordered]


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _repr(value: Any) -> str:
    try:
        return _text(repr(value))
    except Exception:  # noqa: BLE001 - the objects are the user's, and a frame must go out
        return f"<{type(value).__name__}>"


_FORMS: tuple[tuple[Any, Callable[[Any, tuple[int, ...]], JSON]], ...] = (
    (BaseMessage, lambda value, inside: _object(dict(value), inside)),
    (BaseModel, lambda value, inside: _object(value.model_dump(), inside)),
    (Send, lambda value, inside: _object({"node": value.node, "arg": value.arg}, inside)),
    (type, lambda value, _: _repr(value)),
    (Enum, lambda value, inside: _json(value.value, inside)),
    (str, lambda value, _: _text(str(value))),
    (int, lambda value, _: int(value)),
    (float, lambda value, _: float(value) if isfinite(value) else None),
    (Mapping, _object),
    ((bytes, bytearray, memoryview), lambda value, _: base64.b64encode(value).decode()),
    ((datetime, date, time), lambda value, _: value.isoformat()),
    (timedelta, lambda value, _: value.total_seconds()),
    ((UUID, Decimal, PurePath), lambda value, _: str(value)),
    (AbstractSet, _set),
    (Sequence, lambda value, inside: [_json(item, inside) for item in value]),
)
"""What models, subclasses and the standard library's values become; the first that fits."""
