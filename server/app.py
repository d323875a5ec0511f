"""The ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from ..actors.runtime import Runtime
from ..observers import MetricsObserver
from .assistants import AssistantRoutes
from .auth import Authenticate
from .dashboard import DashboardRoutes
from .errors import answer_for
from .limits import Limits
from .operations import Operation
from .origins import Origins
from .runs import RunRoutes
from .service import Service
from .stateless import StatelessRoutes
from .system import SystemRoutes
from .thread_state import StateRoutes
from .threads import ThreadRoutes

_EXPOSED = ("Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next")


def callboard_app(
    runtime: Runtime,
    *,
    authenticate: Authenticate | None = None,
    limits: Limits | None = None,
    cors_origins: Sequence[str] | None = None,
    private_webhooks: bool = False,
    operators: Collection[str] = (),
    hosts: Collection[str] | None = None,
) -> Starlette:
    """The LangGraph Platform API over a runtime: mount it, or serve it by itself.

    Served by itself it starts the runtime and closes it; mounted, the host does.

    Args:
        runtime: runs the agents.
        authenticate: turns a request into the id of its user, whose threads and runs no other
            user sees; `None` for a server of one user.
        limits: what a client may ask for.
        cors_origins: of the pages that may ask; `*` for all, none for no page. By default all
            where users are authenticated, and else those of this machine.
        private_webhooks: let webhooks lead to private and loopback addresses.
        operators: the users who may look at the dashboard; where nobody is authenticated,
            everybody may.
        hosts: the names under which it may be asked, without ports; `None` for all. For a server
            that only this machine reaches: pages of strangers come under names of their own.

    Raises:
        InvalidValue: an argument cannot be used.

    """
    origins = Origins(cors_origins, authenticated=authenticate is not None, hosts=hosts)
    service = Service(
        runtime,
        origins=origins,
        authenticate=authenticate,
        limits=limits or Limits(),
        private_webhooks=private_webhooks,
    )
    metrics = MetricsObserver()
    runtime.observe(metrics)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        ours = runtime.state == "not started"
        if ours:
            await runtime.start()
        await service.webhooks.resume()
        yield
        if ours:
            await runtime.aclose()
        await service.webhooks.aclose()

    app = Starlette(
        routes=[each.route(service) for each in _operations(service, metrics, operators)],
        middleware=_cors(origins),
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )
    app.state.service = service
    return app


def _operations(
    service: Service, metrics: MetricsObserver, operators: Collection[str]
) -> list[Operation]:
    system = SystemRoutes(service, metrics)
    operations = [  # routes are tried one after the other
        *RunRoutes(service).operations(),
        *StatelessRoutes(service).operations(),
        *ThreadRoutes(service).operations(),
        *StateRoutes(service).operations(),
        *AssistantRoutes(service).operations(),
        *DashboardRoutes(service, operators).operations(),
        *system.operations(),
    ]
    system.describe(operations)
    return operations


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error = HTTPException(405, error.detail, {"Allow": ", ".join(_offered(request))})
    return answer_for(error)


def _offered(request: Request) -> list[str]:
    """The methods of a path: Starlette tells those of its first route alone."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    there = [each for each in routes if each.matches(request.scope)[0] is not Match.NONE]
    same = [each for each in there if each.path == there[0].path]
    return sorted({method for route in same for method in route.methods or ()})


def _cors(origins: Origins) -> list[Middleware]:
    settings = origins.cors
    if settings is None:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=list(_EXPOSED),
            max_age=600,
            **settings,
        )
    ]
