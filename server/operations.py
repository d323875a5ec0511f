"""What the API offers: each operation once, for its route and for its description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .auth import user_of
from .bodies import Body
from .errors import Refused, answer_for
from .service import Service

_SAFE = frozenset({"GET", "HEAD"})
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a client may ask for.

    Args:
        method: of HTTP.
        path: with its parameters in braces.
        handler: answers.
        summary: what it does, for people.
        tag: the group it is in.
        body: the kind of body it takes; `None` for none.
        many: the body is a list of them.
        query: its parameters in the query: name and JSON Schema.
        answers: schemas of answers by status; `None` for an answer without a body.
        live: it may take long: such connections are counted.
        public: anybody may ask.

    """

    method: str
    path: str
    handler: Handler
    summary: str
    _: KW_ONLY
    tag: str
    body: type[Body] | None = None
    many: bool = False
    query: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[int, Any] = field(default_factory=dict)
    live: bool = False
    public: bool = False

    def route(self, service: Service) -> Route:
        """Its route."""
        return Route(self.path, _Endpoint(service, self), methods=[self.method], name=self.summary)


class _Endpoint:
    """Answers requests for an operation.

    Args:
        service: knows users and limits.
        operation: what is asked for.

    """

    def __init__(self, service: Service, operation: Operation) -> None:
        self._service = service
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        with ExitStack() as held:
            try:
                response = await self._answer(request, held)
            except Exception as error:  # noqa: BLE001 - every error has an answer
                response = answer_for(error)
            await response(scope, receive, send)

    async def _answer(self, request: Request, held: ExitStack) -> Response:
        if not self._operation.public:
            await self._service.webhooks.begin()
        user_id, origins = None, self._service.origins
        origin, host = request.headers.get("origin"), request.headers.get("host")
        if not origins.answers_to(host):
            raise Refused(403, f"Nobody may ask under the name {host}: use that of this machine.")
        if request.method not in _SAFE and not origins.may_ask(origin, host):
            raise Refused(403, f"Pages of {origin} may not ask: see cors_origins.")
        if not self._operation.public:
            user_id = await user_of(request, self._service.authenticate)
        request.state.user_id = user_id
        if self._operation.live:
            client = user_id or (request.client.host if request.client else "")
            held.enter_context(self._service.connections.hold(client))
        return await self._operation.handler(request)


def user(request: Request) -> str | None:
    """Who asks."""
    user_id: str | None = request.state.user_id
    return user_id
