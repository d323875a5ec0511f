"""Payloads: plain JSON, copied where they enter, so that nobody can change them later."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias

from .errors import UnserialisablePayload

JSON: TypeAlias = Any
"""A user's payload: `None`, `bool`, `int`, `float`, `str`, lists and string-keyed dicts of them."""

_ATOMS = frozenset({bool, int, type(None)})
_MAX_DEPTH = 100


def plain(value: object, field: str) -> JSON:
    """Copy `value` as plain JSON types. Tuples become lists, enums their values.

    Args:
        value: the payload.
        field: what it is, for the error message.

    Raises:
        UnserialisablePayload: it holds something that is not JSON; names the place.

    """
    return _copy(value, field, 0)


def _copy(value: object, path: str, depth: int) -> JSON:
    kind = type(value)
    if kind is str:
        return _text(value, path)
    if kind in _ATOMS:
        return value
    if depth >= _MAX_DEPTH:
        raise UnserialisablePayload(
            path, kind.__name__, f"nest it at most {_MAX_DEPTH} levels deep"
        )
    if kind is dict or isinstance(value, Mapping):
        return _mapping(value, path, depth + 1)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        return [_copy(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]  # type: ignore[arg-type,var-annotated]
    return _scalar(value, path)


def _mapping(value: Mapping[object, object], path: str, depth: int) -> dict[str, JSON]:
    result: dict[str, JSON] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise UnserialisablePayload(f"{path} key", key, "use strings as keys")
        result[str(key)] = _copy(item, f"{path}.{key}", depth)
    return result


def _scalar(value: object, path: str) -> JSON:
    if isinstance(value, float):
        if isfinite(value):
            return float(value)
        raise UnserialisablePayload(path, value, "JSON has no NaN or infinity; use null")
    if isinstance(value, str):
        return _text(str(value), path)
    if isinstance(value, int):
        return int(value)
    raise UnserialisablePayload(
        path,
        f"a {type(value).__name__}",
        "give JSON: null, booleans, numbers, strings, lists, dicts",
    )


def _text(value: Any, path: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UnserialisablePayload(path, value, "remove the lone surrogate") from error
    return str(value)
