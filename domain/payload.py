"""Payloads: plain JSON, copied where they enter, so that nobody can change them later."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias

from .errors import UnserialisablePayload

JSON: TypeAlias = Any
"""A user's payload: `None`, `bool`, `int`, `float`, `str`, lists and string-keyed dicts of them."""

_MAX_DEPTH = 100
_MAX_INT = 10**640
"""Every Python writes shorter integers as text; longer ones, only some."""


def plain(value: object, field: str) -> JSON:
    """Copy `value` as plain JSON types. Tuples become lists, enums their values.

    Args:
        value: the payload.
        field: what it is, for the error message.

    Raises:
        UnserialisablePayload: it holds something that is not JSON; names the place.

    """
    return _copy(value, field, 0)


def weight(value: JSON) -> int:
    """About how many bytes a plain payload takes as text. Quick, not exact."""
    kind = type(value)
    if kind is str:
        return len(value) + 2
    if kind is dict:
        return 2 + sum(len(key) + 4 + weight(item) for key, item in value.items())
    if kind is list:
        return 2 + sum(1 + weight(item) for item in value)
    return 8


def _copy(value: Any, path: str, depth: int) -> JSON:
    kind = type(value)
    if _is_atom(value, kind):
        return value
    if kind is not dict and kind is not list and not isinstance(value, Mapping | list | tuple):
        return _scalar(value, path, depth)
    if depth >= _MAX_DEPTH:
        raise UnserialisablePayload(
            path, f"a {kind.__name__}", f"nest it at most {_MAX_DEPTH} levels deep"
        )
    if kind is dict or isinstance(value, Mapping):
        return _mapping(value, path, depth + 1)
    # The path is put together only for what may need it.
    return [
        item if _is_atom(item, type(item)) else _copy(item, f"{path}[{index}]", depth + 1)
        for index, item in enumerate(value)
    ]


def _mapping(value: Mapping[object, Any], path: str, depth: int) -> dict[str, JSON]:
    result: dict[str, JSON] = {}
    for key, item in value.items():
        if type(key) is not str or not key.isascii():
            if not isinstance(key, str):
                raise UnserialisablePayload(f"{path} key", key, "use strings as keys")
            key = _text(key, f"{path} key")  # noqa: PLW2901 - the same key, as plain text
        kind = type(item)
        if _is_atom(item, kind):
            result[key] = item
        else:
            result[key] = _copy(item, f"{path}.{key}", depth)
    return result


def _is_atom(value: Any, kind: type[Any]) -> bool:
    """Whether `value` is JSON as it stands, and cannot change."""
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(-_MAX_INT < value < _MAX_INT)
    return value is None or kind is bool


def _scalar(value: Any, path: str, depth: int) -> JSON:
    if isinstance(value, float):
        if isfinite(value):
            return float(value)
        raise UnserialisablePayload(path, float(value), "JSON has no NaN or infinity; use null")
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        return _integer(value, path)
    if isinstance(value, Enum):
        return _copy(value.value, path, depth)
    raise UnserialisablePayload(
        path,
        f"a {type(value).__name__}",
        "give JSON: null, booleans, numbers, strings, lists, dicts",
    )


def _integer(value: int, path: str) -> int:
    if -_MAX_INT < value < _MAX_INT:
        return int(value)
    raise UnserialisablePayload(path, "a very long integer", "give it as a string")


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnserialisablePayload(path, value, "remove the lone surrogate") from error
    return str.__str__(value)  # not str(value), which an enum answers with its name
