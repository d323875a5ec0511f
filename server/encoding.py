"""JSON on its way in and out."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import orjson
from starlette.responses import Response

from ..domain.payload import JSON


def to_bytes(value: JSON) -> bytes:
    """A payload as JSON text.

    Quickly, but for what the quick way cannot write: very long integers, and text that is
    no Unicode, as a client may have sent it.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def from_bytes(text: bytes) -> JSON:
    """Read JSON text. Integers keep all their digits.

    Raises:
        ValueError: it is no JSON; NaN and infinity are none.

    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class JSONAnswer(Response):
    """An answer whose body is JSON.

    Args:
        content: the body.
        status: of HTTP.
        headers: to send with it.

    """

    media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(to_bytes(content), status, headers)
