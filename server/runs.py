"""Runs on a thread."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..domain.enums import CancelAction, RunStatus
from ..domain.views import RunSnapshot
from .bodies import RunBody
from .encoding import JSONAnswer
from .errors import Missing
from .operations import Operation, user
from .parsing import flag, number, one_of, path_id, read, selected, words
from .run_answers import RunAnswers
from .schemas import (
    BOOLEAN,
    COUNT,
    EVENTS,
    LIMIT,
    REF,
    TEXT,
    fields_of,
    one_of_words,
    parts_of,
)
from .service import Service
from .shapes import run_shape

_THREAD = "/threads/{thread_id}"
_RUN = "/threads/{thread_id}/runs/{run_id}"
_ACTIONS = ("interrupt", "rollback")
_STATUSES = tuple(status.value for status in RunStatus)

_WORDS = {"type": "array", "items": TEXT}
_op = partial(Operation, tag="Runs")


class RunRoutes:
    """Create, follow, look at and end the runs of a thread.

    Args:
        service: what all routes share.

    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answers = RunAnswers(service)

    def operations(self) -> list[Operation]:
        """What there is."""
        return [*self._to_create(), *self._to_look_at(), *self._to_end()]

    def _to_create(self) -> list[Operation]:
        runs, body = f"{_THREAD}/runs", RunBody
        values: dict[int, Any] = {200: {}}
        return [
            _op("POST", runs, self.create, "Create run", body=body, answers={200: REF("Run")}),
            _op(
                "POST",
                f"{runs}/stream",
                self.create_and_stream,
                "Create run, stream its output",
                body=body,
                answers={200: EVENTS},
                live=True,
            ),
            _op(
                "POST",
                f"{runs}/wait",
                self.create_and_wait,
                "Create run, wait for its output",
                body=body,
                answers=values,
                live=True,
            ),
        ]

    def _to_look_at(self) -> list[Operation]:
        page = {"limit": LIMIT, "offset": COUNT, "status": one_of_words(*_STATUSES)}
        page["select"] = fields_of("Run")
        runs = {200: parts_of("Run")}
        leave = {"cancel_on_disconnect": BOOLEAN}
        joined = f"{_RUN}/join"
        values: dict[int, Any] = {200: {}}
        return [
            _op("GET", f"{_THREAD}/runs", self.list, "List runs", query=page, answers=runs),
            _op("GET", _RUN, self.get, "Get run", answers={200: REF("Run")}),
            _op("GET", joined, self.join, "Wait for a run", query=leave, answers=values, live=True),
            _op(
                "GET",
                f"{_RUN}/stream",
                self.join_stream,
                "Stream a run's output",
                query={**leave, "stream_mode": _WORDS},
                answers={200: EVENTS},
                live=True,
            ),
        ]

    def _to_end(self) -> list[Operation]:
        return [
            _op("DELETE", _RUN, self.delete, "Delete run", answers={204: None}),
            _op(
                "POST",
                f"{_RUN}/cancel",
                self.cancel,
                "Cancel run",
                query={"wait": BOOLEAN, "action": one_of_words(*_ACTIONS)},
                answers={202: None, 200: {}},
                live=True,
            ),
        ]

    async def create(self, request: Request) -> Response:
        """Create a run, and do not wait for it."""
        run = await self._admit(request)
        return JSONAnswer(run_shape(run), headers=self._answers.created(run))

    async def create_and_stream(self, request: Request) -> Response:
        """Create a run, and stream its events."""
        return self._answers.stream(await self._admit(request), None)

    async def create_and_wait(self, request: Request) -> Response:
        """Create a run, and answer what it has come to."""
        run = await self._admit(request)
        return self._answers.outcome(run, cancels=self._answers.waits_as_consumer(run))

    async def _admit(self, request: Request) -> RunSnapshot:
        thread_id = path_id(request, "thread_id")
        body = await read(request, RunBody, self._service.limits.body_bytes)
        return await self._service.admit(body, user(request), thread_id)

    async def list(self, request: Request) -> Response:
        """A page of the thread's runs, newest first."""
        thread_id = path_id(request, "thread_id")
        limit = number(request, "limit", 10, 1, 1000)
        offset = number(request, "offset", 0, 0, 2**53)
        status = one_of(request, "status", _STATUSES)
        names = words(request, "select")
        await self._service.thread(thread_id, user(request))
        runs = await self._service.runtime.list_runs(
            thread_id, user(request), limit=limit, offset=offset, status=status
        )
        return JSONAnswer(selected([run_shape(run) for run in runs], names, "Run"))

    async def get(self, request: Request) -> Response:
        """A run."""
        return JSONAnswer(run_shape(await self._find(request)))

    async def delete(self, request: Request) -> Response:
        """Delete a run; one in flight is rolled back first, so that nothing of it goes on."""
        run = await self._find(request)
        runtime = self._service.runtime
        if not run.status.is_terminal:
            await runtime.cancel(run.run_id, CancelAction.ROLLBACK, wait=True)
        await runtime.delete_run(run.run_id)
        return Response(status_code=204)

    async def join(self, request: Request) -> Response:
        """What a run has come to, when it has."""
        cancels = flag(request, "cancel_on_disconnect")
        run = await self._find_or_recall(request)
        return self._answers.outcome(run, cancels=cancels)

    async def join_stream(self, request: Request) -> Response:
        """A run's events: all to the first who asks, what is new to others; or after an id."""
        cancels = flag(request, "cancel_on_disconnect")
        modes = words(request, "stream_mode", "stream_modes")
        seen = request.headers.get("last-event-id") or None
        run = await self._find_or_recall(request)
        return self._answers.stream(run, seen, modes, cancels=cancels)

    async def cancel(self, request: Request) -> Response:
        """Abort a run; with `wait`, answer when it has unwound."""
        wait = flag(request, "wait")
        action = CancelAction(one_of(request, "action", _ACTIONS) or "interrupt")
        run = await self._find(request)
        if run.status.is_terminal:
            raise Missing(f"Run '{run.run_id}' has ended already: {run.status}.")
        if wait:
            return self._answers.outcome_of_cancelled(run, action)
        await self._service.runtime.cancel(run.run_id, action)
        return Response(status_code=202)

    async def _find(self, request: Request) -> RunSnapshot:
        thread_id, run_id = path_id(request, "thread_id"), path_id(request, "run_id")
        return await self._service.run(thread_id, run_id, user(request))

    async def _find_or_recall(self, request: Request) -> RunSnapshot:
        """The run; also one whose record went with its end, while the runtime remembers it."""
        try:
            return await self._find(request)
        except Missing:
            run = self._service.runtime.recall(path_id(request, "run_id"), user_id=user(request))
            if run is None or run.thread_id != path_id(request, "thread_id"):
                raise
            return run
