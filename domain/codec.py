"""Commands and views as versioned JSON, so that they can cross machines.

Only the classes in `WIRE_TYPES` travel. Decoding builds them through their constructors,
so what arrives is checked as if a caller had written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from . import commands, events, queries, supervision, views
from .errors import InvalidValue
from .payload import JSON

VERSION = 1
"""Raised when the meaning of a field changes; new optional fields do not raise it."""

WIRE_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        commands.CreateRunCommand,
        commands.CancelRunCommand,
        commands.JoinRunStreamCommand,
        queries.GetRunQuery,
        queries.ListRunsQuery,
        queries.ListRunMessagesQuery,
        queries.SearchThreadsQuery,
        events.RunLifecycleEvent,
        views.Frame,
        views.FramePage,
        views.RunUsage,
        views.RunSnapshot,
        views.RunResult,
        views.ThreadSnapshot,
        views.RunStreamHandle,
        views.StoredRunEvent,
        views.RunMessageView,
        views.ModelTokens,
        views.CallerTokens,
        views.ThreadTokens,
        supervision.SupervisionEvent,
        supervision.RunNode,
        supervision.ThreadNode,
        supervision.ObserverNode,
        supervision.SupervisionTree,
        supervision.Health,
    )
}


def encode(value: object) -> dict[str, JSON]:
    """`value` as JSON types, with its type's name and the format's version.

    A subclass of a wire type is encoded as that type.

    Raises:
        InvalidValue: its class is no wire type.

    """
    for kind in type(value).__mro__:
        if WIRE_TYPES.get(kind.__name__) is kind:
            return {"v": VERSION, "type": kind.__name__, "data": _to_json(value, kind)}
    raise InvalidValue("value", value, f"encode one of {', '.join(WIRE_TYPES)}")


def decode(document: Mapping[str, JSON]) -> Any:
    """The value that `encode` made `document` of. Fields it does not know are passed over.

    Raises:
        InvalidValue: the version or type is unknown, or a field is missing or wrong.

    """
    if not isinstance(document, Mapping):
        raise InvalidValue("document", document, "send a JSON object")
    version, name = document.get("v"), document.get("type")
    if version != VERSION:
        raise InvalidValue("v", version, f"send version {VERSION} of the format")
    kind = WIRE_TYPES.get(str(name))
    if kind is None:
        raise InvalidValue("type", name, f"send one of {', '.join(WIRE_TYPES)}")
    return _from_json(document.get("data"), kind, kind.__name__)


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _to_json(value: Any, kind: type[Any] | None = None) -> JSON:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_json(getattr(value, f.name)) for f in fields(kind or value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, str):
        return str.__str__(value)
    return value


def _from_json(value: JSON, kind: Any, path: str) -> Any:
    """Read `value` as `kind`, a type as the fields of wire types are annotated with."""
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _from_union(value, get_args(kind), path)
    if origin is tuple:
        item = get_args(kind)[0]
        return tuple(_from_json(v, item, path) for v in _expect(value, list, path, "list"))
    if origin is not None:
        item, entries = get_args(kind)[1], _expect(value, Mapping, path, "object")
        return {key: _from_json(v, item, f"{path}.{key}") for key, v in entries.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _from_object(_expect(value, Mapping, path, "object"), kind, path)
    return _from_atom(value, kind, path)


def _from_union(value: JSON, options: tuple[Any, ...], path: str) -> Any:
    if value is None and NoneType in options:
        return None
    for option in options:
        if get_origin(option) is Literal and value in get_args(option):
            return value
    kind = next(o for o in options if o is not NoneType and get_origin(o) is not Literal)
    return _from_json(value, kind, path)


def _from_atom(value: JSON, kind: Any, path: str) -> Any:
    if kind is bool:
        return _expect(value, bool, path, "boolean")
    if kind is int or kind is float:
        wanted = int if kind is int else int | float
        return _expect(None if isinstance(value, bool) else value, wanted, path, "number")
    text = _expect(value, str, path, "string")
    if kind is str:
        return text
    try:
        return datetime.fromisoformat(text) if kind is datetime else kind(text)
    except InvalidValue:
        raise
    except ValueError as error:
        raise InvalidValue(path, value, f"send a {kind.__name__} ({error})") from error


def _from_object(value: Mapping[str, JSON], kind: type[Any], path: str) -> Any:
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type] # types are hashable
    known = {
        f.name: _from_json(value[f.name], hints[f.name], f"{path}.{f.name}")
        for f in fields(kind)
        if f.name in value
    }
    try:
        return kind(**known)
    except TypeError as error:
        raise InvalidValue(path, sorted(value), f"send every field ({error})") from error


def _expect(value: JSON, kind: Any, path: str, name: str) -> Any:
    if not isinstance(value, kind):
        raise InvalidValue(path, value, f"send a JSON {name}")
    return value
