"""A page to look at, and what it is drawn from: for operators, not for every user."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..actors.runtime import Runtime
from ..domain.codec import encode
from ..domain.commands import check_many
from ..domain.enums import EventCategory, RunStatus
from ..domain.errors import RunNotFound
from ..domain.identifiers import RunId
from ..domain.payload import JSON
from ..domain.supervision import ThreadNode
from ..domain.views import RunSnapshot
from .auth import Unauthenticated
from .encoding import JSONAnswer
from .errors import Refused
from .live import KEEP_ALIVE, LiveResponse
from .operations import Operation, user
from .parsing import number
from .schemas import COUNT, EVENTS, HTML, LIMIT, OBJECT, TEXT
from .service import Service
from .sse import HEADERS, HEARTBEAT, MEDIA_TYPE, event_of

_RUN = "/callboard/runs/{run_id}"
_THREADS = 100
"""Threads that are shown, if the page does not ask for more or fewer."""
_EVENTS = 200
"""Events of a run that are answered at once."""
_RECORDED = 20
"""Runs of a thread that are listed."""
_TOLD = frozenset({EventCategory.LIFECYCLE, EventCategory.MESSAGE})
"""Events that are listed: frames are in the stream."""
_op = partial(Operation, tag="Dashboard")


class DashboardRoutes:
    """Show the supervision tree, and interfere with it.

    An operator sees the threads and runs of all users, and is no consumer of what is shown:
    no run ends because nobody looks at it any more, and none goes on because somebody does.

    Args:
        service: what all routes share.
        operators: the users who may; nobody else, where users are authenticated.

    Raises:
        InvalidValue: `operators` is no sequence.

    """

    def __init__(self, service: Service, operators: Collection[str]) -> None:
        self._service = service
        self._runtime = service.runtime
        check_many(operators, "operators")
        self._operators = operators
        self._page = files(__package__).joinpath("dashboard.html").read_text(encoding="utf-8")
        self._headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _policy(self._page),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def operations(self) -> list[Operation]:
        """What there is."""
        shown, listed = {200: OBJECT}, {200: {"type": "array", "items": OBJECT}}
        tree, runs, after = {"find": TEXT, "limit": LIMIT}, {"thread_id": TEXT}, {"after": COUNT}
        stream, events = f"{_RUN}/stream", f"{_RUN}/events"
        taken = {202: None}
        return [
            _op("GET", "/", self.page, "Dashboard", answers={200: HTML}, public=True),
            _op("GET", "/callboard/tree", self.tree, "Supervision tree", query=tree, answers=shown),
            _op("GET", "/callboard/runs", self.runs, "Last runs", query=runs, answers=listed),
            _op("GET", _RUN, self.run, "How a run is", answers=shown),
            _op("GET", events, self.events, "Events of a run", query=after, answers=listed),
            _op("GET", stream, self.stream, "Watch a run", answers={200: EVENTS}, live=True),
            _op("POST", f"{_RUN}/abort", self.abort, "Abort run", answers=taken),
            _op("POST", f"{_RUN}/restart", self.restart, "Restart run", answers=taken),
            _op("POST", f"{_RUN}/fail", self.fail, "Fail run", answers=taken),
        ]

    async def page(self, request: Request) -> Response:
        """The page itself holds nothing that is anybody's."""
        del request
        return HTMLResponse(self._page, headers=self._headers)

    async def tree(self, request: Request) -> Response:
        """The actors there are, and how the runtime is.

        Of the threads, as many as `limit` says, those with runs first; with `find`, those
        where an id or the name of an agent has it.
        """
        self._check(request)
        limit = number(request, "limit", _THREADS, 1, 1000)
        wanted = request.query_params.get("find", "").strip().lower()
        tree = await self._runtime.supervisor.tree()
        health = await self._runtime.supervisor.health()
        statuses = [run.status for thread in tree.threads for run in thread.runs]
        found = sorted((each for each in tree.threads if _has(each, wanted)), key=_busy_first)
        return JSONAnswer(
            {
                "tree": _plain(replace(tree, threads=tuple(found[:limit]))),
                "health": _plain(health),
                "found": len(found),
                "threads": len(tree.threads),
                "running": statuses.count(RunStatus.RUNNING),
                "queued": statuses.count(RunStatus.PENDING),
                "agents": list(self._runtime.agents.names),
            }
        )

    async def runs(self, request: Request) -> Response:
        """The last runs of a thread, newest first, as they are recorded."""
        self._check(request)
        thread_id = request.query_params.get("thread_id", "")
        found = await self._runtime.list_runs(thread_id, limit=_RECORDED)
        return JSONAnswer([_summary(run) for run in found])

    async def run(self, request: Request) -> Response:
        """A run as it is recorded, without what it was given and what it gave."""
        self._check(request)
        return JSONAnswer(_summary(await self._find(request)))

    async def events(self, request: Request) -> Response:
        """The events of a run but for its frames, oldest first, those after a `seq`."""
        self._check(request)
        after = number(request, "after", 0, 0, 2**53)
        run = await self._find(request)
        found = await self._runtime.list_events(
            run.thread_id, run.run_id, _EVENTS, after, categories=_TOLD
        )
        return JSONAnswer([_plain(event) for event in found])

    async def stream(self, request: Request) -> Response:
        """A run's frames as they come: from the first, or after `Last-Event-ID`."""
        self._check(request)
        run, seen = await self._find(request), request.headers.get("last-event-id")
        pieces = _watched(self._runtime, run.run_id, seen or None)
        return LiveResponse(pieces, media_type=MEDIA_TYPE, headers=HEADERS)

    async def abort(self, request: Request) -> Response:
        """Abort a run, and keep what it did."""
        self._check(request)
        run_id = _run_id(request)
        return _taken(run_id, "has ended already", done=await self._runtime.cancel(run_id))

    async def restart(self, request: Request) -> Response:
        """Unwind a run's attempt, and begin a new one."""
        self._check(request)
        run_id = _run_id(request)
        done = await self._runtime.supervisor.restart(run_id)
        return _taken(run_id, "is not executing", done=done)

    async def fail(self, request: Request) -> Response:
        """End a run with an error."""
        self._check(request)
        run_id, why = _run_id(request), "failed by the operator"
        done = await self._runtime.supervisor.fail(run_id, why)
        return _taken(run_id, "has ended already, or is about to", done=done)

    def _check(self, request: Request) -> None:
        if self._service.authenticate is not None and user(request) not in self._operators:
            raise Unauthenticated("This is for operators: see callboard_app(operators=…).", 403)

    async def _find(self, request: Request) -> RunSnapshot:
        run_id = _run_id(request)
        run = await self._runtime.get_run(run_id) or self._runtime.recall(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run


async def _watched(
    runtime: Runtime, run_id: str, last_event_id: str | None
) -> AsyncGenerator[bytes, None]:
    pages = runtime.stream_pages(run_id, last_event_id, KEEP_ALIVE, consumes=False)
    async with aclosing(pages):
        async for page in pages:
            yield b"".join(event_of(frame, numbered=True) for frame in page) or HEARTBEAT


def _run_id(request: Request) -> RunId:
    """Any run's: a host may choose ids that are no UUIDs."""
    return RunId(request.path_params["run_id"])


def _has(thread: ThreadNode, text: str) -> bool:
    names = (name for run in thread.runs for name in (run.run_id, run.assistant_id))
    return any(text in name.lower() for name in (thread.thread_id, *names))


def _busy_first(thread: ThreadNode) -> tuple[bool, float]:
    """Threads with runs, oldest first, so that none moves; then what was used last."""
    return (False, -thread.age) if thread.runs else (True, thread.age)


def _summary(run: RunSnapshot) -> JSON:
    times = {name: getattr(run, name) for name in ("created_at", "started_at", "finished_at")}
    return {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "user_id": run.user_id,
        "status": run.status.value,
        "attempt": run.attempt,
        "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        "error": run.error,
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
    }


def _taken(run_id: str, otherwise: str, *, done: bool) -> Response:
    if not done:
        raise Refused(409, f"Run '{run_id}' {otherwise}.")
    return Response(status_code=202)


def _plain(value: object) -> JSON:
    return encode(value)["data"]


def _policy(page: str) -> str:
    """What the page may do: its own style and script, and to ask where it comes from.

    No other page shows it within itself, where one could be led to press its buttons.
    """
    allowed = {name: _digest(page, name) for name in ("style", "script")}
    return (
        f"default-src 'none'; style-src '{allowed['style']}'; script-src '{allowed['script']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _digest(page: str, element: str) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
