"""A page to look at, and what it is drawn from: for operators, not for every user."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..domain.codec import encode
from ..domain.errors import RunNotFound
from ..domain.payload import JSON
from .auth import Unauthenticated
from .encoding import JSONAnswer
from .errors import Refused
from .operations import Operation, user
from .parsing import path_id
from .schemas import HTML, OBJECT
from .service import Service

_RUN = "/callboard/runs/{run_id}"
_EVENTS = 200
"""Events of a run that are shown."""
_op = partial(Operation, tag="Dashboard")


class DashboardRoutes:
    """Show the supervision tree, and interfere with it.

    Args:
        service: what all routes share.
        operators: the users who may; nobody else, where users are authenticated.

    """

    def __init__(self, service: Service, operators: Collection[str]) -> None:
        self._service = service
        self._operators = operators
        self._page = files(__package__).joinpath("dashboard.html").read_text(encoding="utf-8")

    def operations(self) -> list[Operation]:
        """What there is."""
        listed = {200: {"type": "array", "items": OBJECT}}
        taken = {202: None}
        return [
            _op("GET", "/", self.page, "Dashboard", answers={200: HTML}, public=True),
            _op("GET", "/callboard/tree", self.tree, "Supervision tree", answers={200: OBJECT}),
            _op("GET", f"{_RUN}/events", self.events, "Events of a run", answers=listed),
            _op("POST", f"{_RUN}/restart", self.restart, "Restart run", answers=taken),
            _op("POST", f"{_RUN}/fail", self.fail, "Fail run", answers=taken),
        ]

    async def page(self, request: Request) -> Response:
        """The page itself holds nothing that is anybody's."""
        del request
        return HTMLResponse(self._page, headers={"Cache-Control": "no-cache"})

    async def tree(self, request: Request) -> Response:
        """Every actor there is, and how the runtime is."""
        self._check(request)
        supervisor = self._service.runtime.supervisor
        tree, health = await supervisor.tree(), await supervisor.health()
        return JSONAnswer({"tree": _plain(tree), "health": _plain(health)})

    async def events(self, request: Request) -> Response:
        """The first events of a run, but for its frames."""
        self._check(request)
        run_id = path_id(request, "run_id")
        runtime = self._service.runtime
        run = await runtime.get_run(run_id) or runtime.recall(run_id)
        if run is None:
            raise RunNotFound(run_id)
        found = await runtime.list_events(run.thread_id, run_id, limit=_EVENTS)
        return JSONAnswer([_plain(event) for event in found if event.category != "frame"])

    async def restart(self, request: Request) -> Response:
        """Unwind a run's attempt, and begin a new one."""
        self._check(request)
        run_id = path_id(request, "run_id")
        return _taken(run_id, done=await self._service.runtime.supervisor.restart(run_id))

    async def fail(self, request: Request) -> Response:
        """End a run with an error."""
        self._check(request)
        run_id, why = path_id(request, "run_id"), "failed by the operator"
        return _taken(run_id, done=await self._service.runtime.supervisor.fail(run_id, why))

    def _check(self, request: Request) -> None:
        if self._service.authenticate is not None and user(request) not in self._operators:
            raise Unauthenticated("This is for operators: see callboard_app(operators=…).", 403)


def _taken(run_id: str, *, done: bool) -> Response:
    if not done:
        raise Refused(409, f"Run '{run_id}' is not executing.")
    return Response(status_code=202)


def _plain(value: object) -> JSON:
    return encode(value)["data"]
