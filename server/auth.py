"""Who asks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request

from .errors import Refused

Authenticate: TypeAlias = Callable[[Request], Awaitable[str | None] | str | None]
"""Turns a request into the id of its user; `None`, or `Unauthenticated`, if it has none."""


class Unauthenticated(Refused):
    """It is not known who asks, or it is known and not allowed.

    Args:
        detail: why.
        status: 401, or 403 for somebody who is known.

    """

    def __init__(self, detail: str = "Authenticate first.", status: int = 401) -> None:
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        super().__init__(status, detail, headers)


async def user_of(request: Request, authenticate: Authenticate | None) -> str | None:
    """The user of a request; `None` where nobody is authenticated.

    Raises:
        Unauthenticated: the hook knows no user.

    """
    if authenticate is None:
        return None
    found = authenticate(request)
    user_id = await found if inspect.isawaitable(found) else found
    if not user_id:
        raise Unauthenticated
    return user_id
