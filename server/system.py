"""How the server is, what it is, and what it offers."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..observers import MetricsObserver
from .encoding import JSONAnswer
from .errors import NotOffered
from .openapi import DOCS, description
from .operations import Operation
from .schemas import HTML, OBJECT, PLAIN
from .service import Service

_LATER = (
    ("POST", "/threads/{thread_id}/runs/crons"),
    ("POST", "/runs/crons"),
    ("POST", "/runs/crons/search"),
    ("POST", "/runs/crons/count"),
    ("PATCH", "/runs/crons/{cron_id}"),
    ("DELETE", "/runs/crons/{cron_id}"),
    ("PUT", "/store/items"),
    ("GET", "/store/items"),
    ("DELETE", "/store/items"),
    ("POST", "/store/items/search"),
    ("POST", "/store/namespaces"),
    ("GET", "/threads/{thread_id}/stream"),
    ("POST", "/threads/{thread_id}/commands"),
    ("POST", "/threads/{thread_id}/stream/events"),
)
"""What the platform has and this server has not."""

_op = partial(Operation, tag="System")


class SystemRoutes:
    """Tell of the server itself.

    Args:
        service: what all routes share.
        metrics: counts its runs.

    """

    def __init__(self, service: Service, metrics: MetricsObserver) -> None:
        self._service = service
        self._metrics = metrics
        self._described: list[Operation] = []

    def operations(self) -> list[Operation]:
        """What there is."""
        return [
            _op("GET", "/ok", self.ok, "Health", answers={200: OBJECT}, public=True),
            _op("GET", "/info", self.info, "About this server", answers={200: OBJECT}, public=True),
            _op("GET", "/metrics", self.metrics, "Metrics", answers={200: PLAIN}),
            _op(
                "GET",
                "/openapi.json",
                self.openapi,
                "This description",
                answers={200: OBJECT},
                public=True,
            ),
            _op(
                "GET",
                "/docs",
                self.docs,
                "This description, to read",
                answers={200: HTML},
                public=True,
            ),
            *(
                _op(method, path, self.later, f"Not offered: {method} {path}", answers={501: None})
                for method, path in _LATER
            ),
        ]

    def describe(self, operations: list[Operation]) -> None:
        """Tell clients of these operations."""
        self._described = operations

    async def ok(self, request: Request) -> Response:
        """Whether the server takes runs."""
        del request
        health = await self._service.runtime.supervisor.health()
        return JSONAnswer({"ok": health.ok}, 200 if health.ok else 503)

    async def info(self, request: Request) -> Response:
        """Its version, and what it offers."""
        del request
        flags = {"assistants": True, "crons": False, "langsmith": False, "store": False}
        return JSONAnswer({"version": version("callboard"), "server": "callboard", "flags": flags})

    async def metrics(self, request: Request) -> Response:
        """Counts of runs, for Prometheus."""
        del request
        try:
            from .metrics import exposition  # noqa: PLC0415 - prometheus-client may be missing
        except ImportError as error:
            raise NotOffered("Metrics need prometheus-client, and so are") from error
        text, media_type = exposition(self._metrics, self._service.connections)
        return Response(text, media_type=media_type)

    async def openapi(self, request: Request) -> Response:
        """What there is, for programs."""
        root = request.scope.get("root_path", "").rstrip("/")
        return JSONAnswer(description(self._described, root))

    async def docs(self, request: Request) -> Response:
        """What there is, for people."""
        del request
        return HTMLResponse(DOCS)

    async def later(self, request: Request) -> Response:
        """It is known what is meant, and that it is not there."""
        raise NotOffered(f"{request.method} {request.url.path} is")
