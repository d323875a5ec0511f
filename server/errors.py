"""What is answered when something cannot be done: a status, and `{"detail": …}`."""

from __future__ import annotations

from math import ceil

import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..domain.conflicts import QueueFullError
from ..domain.errors import (
    ActorCrashed,
    AgentFault,
    CallboardError,
    Conflict,
    Fenced,
    InvalidValue,
    NotFound,
    RuntimeBusy,
    RuntimeClosed,
    Unavailable,
)
from ..domain.store_errors import OutcomeUnknown, StoreUnavailable
from .encoding import JSONAnswer

_log = structlog.get_logger("callboard.server")

_RETRY_AFTER = 1.0
"""Seconds after which what is not available may be."""
_LOOK = "see what is there before you try again, it may have been done"


class Refused(Exception):
    """A request is answered with an error.

    Args:
        status: of HTTP.
        detail: what is wrong, and what to do.
        headers: to send with it.

    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class Missing(Refused):
    """What was named does not exist, or not for this user."""

    def __init__(self, detail: str) -> None:
        super().__init__(404, detail)


class Invalid(Refused):
    """A field of the request cannot be used.

    Args:
        field: which one.
        remedy: what to give instead.

    """

    def __init__(self, field: str, remedy: str) -> None:
        super().__init__(422, f"{field}: {remedy}")


class TooMany(Refused):
    """A limit is reached.

    Args:
        detail: which one, and what to do.
        retry_after: seconds.

    """

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(429, detail, _after(retry_after))


class NotOffered(Refused):
    """The platform has it, and this server has not."""

    def __init__(self, what: str) -> None:
        super().__init__(501, f"{what} not offered by this server.")


def answer_for(error: Exception) -> Response:
    """The answer that an error means. Only a defect is a 500: the server's, or an agent's."""
    match error:
        case Refused():
            return _answer(error.status, error.detail, error.headers)
        case HTTPException():
            return _answer(error.status_code, error.detail, dict(error.headers or {}))
        case ValidationError():
            return _answer(422, _faults(error))
        case CallboardError():
            return _answer(*_meaning(error))
    _log.error("request_failed", error=repr(error), exc_info=error)
    return _answer(500, "The server failed: this is a defect, see its log.")


def _meaning(error: CallboardError) -> tuple[int, str, dict[str, str]]:
    text = str(error)
    if isinstance(error, AgentFault):
        _log.error("agent_failed", error=text, exc_info=error)
        return 500, text, {}
    if isinstance(error, InvalidValue):
        return 422, text, {}
    if isinstance(error, NotFound):
        return 404, text, {}
    if isinstance(error, QueueFullError | RuntimeBusy):
        return 429, text, _after(_RETRY_AFTER)
    if isinstance(error, Conflict):
        return 409, text, {}
    if isinstance(error, Unavailable | Fenced):
        return 503, _unavailable(error), _after(_RETRY_AFTER)
    return 400, text, {}


def _unavailable(error: CallboardError) -> str:
    """What is not available, with advice for clients: they do not choose the ids of their runs."""
    match error:
        case OutcomeUnknown():
            told, advice = f"It is not known whether the store took {error.what}", _LOOK
        case StoreUnavailable():
            told, advice = f"The store did not take {error.what}", "nothing was done, try again"
        case ActorCrashed():
            told, advice = f"{error.actor} failed before it answered", f"{_LOOK}; it is a defect"
        case RuntimeClosed():
            return f"The server's runtime is {error.state}: try again, another may have its place."
        case _:
            return str(error)
    return f"{told} ({error.cause}): {advice}."


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONAnswer({"detail": detail}, status, headers)


def _after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, ceil(seconds)))}


def _faults(error: ValidationError) -> str:
    """Each fault with the place it is at: `config.tags: Input should be a valid list`."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )
