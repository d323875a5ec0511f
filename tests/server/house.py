"""A server in this process, on a socket, and the platform's own client for it."""

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from langgraph_sdk import get_client

from callboard import Runtime
from callboard.server import callboard_app
from tests.executors import graphs

PATIENCE = 60.0
"""Seconds after which a test has failed."""


class Uvicorn(uvicorn.Server):
    """Tells when it has started, and leaves signals to pytest."""

    def __init__(self, app):
        config = uvicorn.Config(
            app, port=0, ws="none", log_config=None, timeout_graceful_shutdown=1
        )
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self):
        await self.on_tick(0)
        await self.stopping.wait()

    @contextlib.contextmanager
    def capture_signals(self):
        yield

    @property
    def url(self):
        _, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://127.0.0.1:{port}"


@dataclass
class Served:
    """A running server."""

    runtime: Runtime
    app: Any
    server: Uvicorn
    client: Any
    http: httpx.AsyncClient

    @property
    def url(self):
        return self.server.url

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])


@asynccontextmanager
async def serving(agents=None, *, store=None, runtime=None, client=None, **options):
    """Serve agents; closed without waiting for what is left running."""
    runtime = runtime or Runtime(agents or AGENTS(), store, drain_timeout=0.0, abort_grace=5.0)
    app = callboard_app(runtime, **options)
    server = Uvicorn(app)
    async with asyncio.timeout(PATIENCE):
        task = asyncio.create_task(server.serve())
        await server.ready.wait()
        sdk = get_client(url=server.url, **(client or {}))
        try:
            async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as http, sdk:
                yield Served(runtime, app, server, sdk, http)
        finally:
            await runtime.aclose(0.0)
            server.stopping.set()
            await task


def AGENTS():  # noqa: N802 - new ones each time: they keep their threads in memory
    return {
        "steps": graphs.steps(("a", graphs.goes("a")), ("b", graphs.goes("b"))),
        "approval": graphs.approval(),
        "chat": graphs.chat("how do you do"),
        "echo": echo,
        "failing": failing,
    }


async def echo(run):
    """An agent that is no graph."""
    yield "values", {"said": run.input, "user": run.user_id}


async def failing(run):
    raise ValueError("kaput")


def gated(**gates):
    """A graph for each gate: `a`, then the gate, then `b`."""
    return {
        name: graphs.steps(("a", graphs.goes("a")), ("gate", gate), ("b", graphs.goes("b")))
        for name, gate in gates.items()
    }


async def collect(stream):
    """All parts of a stream."""
    return [part async for part in stream]


async def until(stream, event):
    """Read a stream as far as an event; answers what came."""
    parts = []
    async for part in stream:
        parts.append(part)
        if part.event == event:
            return parts
    raise AssertionError(f"no {event} among {[part.event for part in parts]}")


def events(parts):
    return [part.event for part in parts]


def story(test):
    """Run an async test, with an end to its patience."""

    def run(**arguments):
        asyncio.run(asyncio.wait_for(test(**arguments), PATIENCE))

    run.__name__ = test.__name__
    run.__signature__ = __import__("inspect").signature(test)
    return run


def raw_request(port, text):
    """A connection of one's own, on which a request has been sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(text.encode())
    return connection
