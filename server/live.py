"""Answers that take their time: sent piece by piece, to a client that may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..domain.errors import RuntimeClosed
from ..domain.payload import JSON
from .encoding import to_bytes

T = TypeVar("T")

_log = structlog.get_logger("callboard.server")

KEEP_ALIVE = 5.0
"""Seconds without a word after which the client gets a sign of life."""


class Cut(Exception):
    """The runtime has ended: the connection breaks off, so that the client comes back."""


class LiveResponse(Response):
    """An answer of many pieces, which ends when its client goes away.

    The client's socket takes them as fast as it can: nothing is read ahead for it.

    Args:
        pieces: what to send; closed in any case.
        media_type: of the whole.
        headers: to send with it.
        on_leave: called if the client goes away before the end.

    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        media_type: str,
        headers: dict[str, str],
        on_leave: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._pieces = pieces
        self._on_leave = on_leave
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                await self._left(sending)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.wait((sending, leaving))
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async with aclosing(self._pieces):
            try:
                async for piece in self._pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except RuntimeClosed as error:
                raise Cut from error
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _left(self, sending: asyncio.Task[None]) -> None:
        sending.cancel()
        await asyncio.wait((sending,))
        if self._on_leave is not None:
            try:
                await self._on_leave()
            except Exception as error:  # noqa: BLE001 - nobody is there to be told
                _log.warning("leaving_failed", error=repr(error))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def json_when_done(work: Callable[[], Awaitable[JSON]]) -> AsyncGenerator[bytes, None]:
    """The JSON that `work` brings; until then, line feeds, which JSON allows before it."""
    task = asyncio.ensure_future(work())
    try:
        while not (await asyncio.wait((task,), timeout=KEEP_ALIVE))[0]:
            yield b"\n"
        yield to_bytes(task.result())
    finally:
        task.cancel()
