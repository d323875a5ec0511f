"""Reading requests: bodies, path and query, each checked once, here."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect, Request

from ..domain.payload import JSON
from .bodies import Body
from .encoding import from_bytes
from .errors import Invalid, Refused
from .schemas import ANSWERS

B = TypeVar("B", bound=Body)
T = TypeVar("T")

_TRUE, _FALSE = frozenset({"1", "true", "yes"}), frozenset({"0", "false", "no", ""})


async def read_json(request: Request, limit: int) -> JSON:
    """The body as JSON; an empty object for none.

    Args:
        request: the request.
        limit: bytes it may have.

    Raises:
        Refused: it is longer, or no JSON.

    """
    parts: list[bytes] = []
    size = 0
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_long(limit)
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_long(limit)
            parts.append(part)
    except ClientDisconnect:
        raise Refused(400, "The client went away.") from None
    text = b"".join(parts)
    try:
        return from_bytes(text) if text.strip() else {}
    except ValueError as error:
        raise Invalid("body", f"give JSON ({error})") from error


async def read(request: Request, kind: type[B], limit: int) -> B:
    """The body, as one of the kinds of bodies.

    Raises:
        Refused: it is too long, or no JSON.
        ValidationError: a field cannot be used.

    """
    return kind.model_validate(await read_json(request, limit))


def checked(value: object, kind: type[T], field: str) -> T:
    """Read a value of a body that has no kind of its own.

    Raises:
        ValidationError: it cannot be used.

    """
    document: dict[str, T] = TypeAdapter(dict[str, kind]).validate_python({field: value})  # type: ignore[valid-type]
    return document[field]


def path_id(request: Request, name: str) -> str:
    """An id in the path.

    Raises:
        Invalid: it is no UUID.

    """
    return uuid_of(request.path_params[name], name)


def uuid_of(text: str, field: str) -> str:
    """Read a UUID, as all servers of this API write theirs.

    Raises:
        Invalid: it is none.

    """
    try:
        return str(UUID(text))
    except ValueError:
        raise Invalid(field, "give a UUID") from None


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A truth value in the query: `1` or `true`, `0` or `false`.

    Raises:
        Invalid: it is neither.

    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise Invalid(name, "give true or false")


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number in the query.

    Raises:
        Invalid: it is none, or out of range.

    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if len(text) <= 18 and text.isascii() and text.isdigit() and least <= int(text) <= most:
        return int(text)
    raise Invalid(name, f"give a whole number from {least} to {most}")


def words(request: Request, *names: str) -> list[str]:
    """A list of words in the query: the name given again and again, or once with JSON.

    Raises:
        Invalid: the JSON is no list of words.

    """
    found = [word for name in names for word in request.query_params.getlist(name) if word]
    if len(found) == 1 and found[0].startswith("["):
        try:
            listed = from_bytes(found[0].encode())
        except ValueError as error:
            raise Invalid(names[0], f"give a list ({error})") from error
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise Invalid(names[0], "give a list of words")
        return listed
    return found


def one_of(request: Request, name: str, known: tuple[str, ...]) -> str | None:
    """A word of the query that must be known.

    Raises:
        Invalid: it is none of them.

    """
    text = request.query_params.get(name)
    if text in (None, ""):
        return None
    if text not in known:
        raise Invalid(name, f"choose one of {', '.join(known)}")
    return text


def selected(
    documents: list[dict[str, JSON]], names: list[str] | None, kind: str
) -> list[dict[str, JSON]]:
    """Some fields of documents; all of them without names.

    Args:
        documents: of one kind.
        names: of fields, or of keys within: `values.path`.
        kind: the name of their schema.

    Raises:
        Invalid: a name is no field.

    """
    if not names:
        return documents
    known = ANSWERS[kind]["properties"]
    for name in names:
        if name.partition(".")[0] not in known:
            raise Invalid("select", f"choose some of {', '.join(known)}")
    return [_part(document, names) for document in documents]


def _part(document: dict[str, JSON], names: list[str]) -> dict[str, JSON]:
    part: dict[str, JSON] = {}
    for name in names:
        field, dot, key = name.partition(".")
        if field not in document:
            continue  # it comes only where it is asked for
        whole = document[field]
        if not dot:
            part[field] = whole
        elif isinstance(whole, dict) and key in whole:
            part[field] = {**(part.get(field) or {}), key: whole[key]}
        else:
            part.setdefault(field, {})
    return part


def _too_long(limit: int) -> Refused:
    return Refused(
        413, f"The body has more than {limit} bytes: send less.", {"Retry-After": "3600"}
    )
