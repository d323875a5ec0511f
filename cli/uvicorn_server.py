"""Uvicorn, told to stop: it hands runs over before it closes its connections."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Any

import structlog
import uvicorn

from ..actors.runtime import Runtime

_log = structlog.get_logger("callboard.serve")

_UNWINDING = 5.0
"""Seconds that nodes get to unwind after the drain. Then they end with the process."""


class Server(uvicorn.Server):
    """Hands runs over to its successor when it is told to stop; told twice, at once.

    Args:
        app: what it serves.
        runtime: has the runs.
        drain: seconds that runs get to finish.
        settings: as for `uvicorn.Config`.

    """

    def __init__(self, app: Any, runtime: Runtime, drain: float, **settings: Any) -> None:
        super().__init__(uvicorn.Config(app, **settings))
        self._runtime = runtime
        self._drain = drain
        self._hurry = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        for server in self.servers:
            host, port = server.sockets[0].getsockname()[:2]
            graphs = list(self._runtime.agents.names)
            _log.info("serving", url=f"http://{host}:{port}", graphs=graphs)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; and waste no more time if told so before."""
        if self.should_exit:
            self._hurry.set()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let runs finish and nodes unwind, and leave the others in flight."""
        _log.info("stopping", drain=self._drain)
        closing = asyncio.create_task(self._runtime.aclose(self._drain, hand_over=True))
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait(
            (closing, hurrying),
            timeout=self._drain + _UNWINDING,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in (closing, hurrying):
            task.cancel()
        await asyncio.wait((closing, hurrying))
        await super().shutdown(sockets)
