"""Runs without a thread of their own choosing, and several runs at once."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from ..domain.enums import CancelAction
from ..domain.views import RunSnapshot
from .bodies import BatchRunBody, CancelManyBody, RunBody
from .encoding import JSONAnswer
from .errors import Invalid, Missing
from .operations import Operation, user
from .parsing import checked, one_of, read, read_json, uuid_of
from .run_answers import RunAnswers
from .schemas import ARRAY_OF, EVENTS, REF, one_of_words
from .service import Service
from .shapes import run_shape

_ACTIONS = ("interrupt", "rollback")

_op = partial(Operation, tag="Stateless runs")


class StatelessRoutes:
    """Create runs whose threads go with them, batches of runs, and abort many.

    Args:
        service: what all routes share.

    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answers = RunAnswers(service)

    def operations(self) -> list[Operation]:
        """What there is."""
        return [
            _op(
                "POST", "/runs", self.create, "Create run", body=RunBody, answers={200: REF("Run")}
            ),
            _op(
                "POST",
                "/runs/stream",
                self.create_and_stream,
                "Create run, stream its output",
                body=RunBody,
                answers={200: EVENTS},
                live=True,
            ),
            _op(
                "POST",
                "/runs/wait",
                self.create_and_wait,
                "Create run, wait for its output",
                body=RunBody,
                answers={200: {}},
                live=True,
            ),
            _op(
                "POST",
                "/runs/batch",
                self.create_batch,
                "Create runs",
                body=BatchRunBody,
                many=True,
                answers={200: ARRAY_OF("Run")},
            ),
            _op(
                "POST",
                "/runs/cancel",
                self.cancel_many,
                "Cancel runs",
                body=CancelManyBody,
                query={"action": one_of_words(*_ACTIONS)},
                answers={204: None},
            ),
        ]

    async def create(self, request: Request) -> Response:
        """Create a run on a new thread, and do not wait for it."""
        run = await self._admit(request)
        return JSONAnswer(run_shape(run), headers=self._answers.created(run))

    async def create_and_stream(self, request: Request) -> Response:
        """Create a run on a new thread, and stream its events."""
        return self._answers.stream(await self._admit(request), None)

    async def create_and_wait(self, request: Request) -> Response:
        """Create a run on a new thread, and answer what it has come to."""
        run = await self._admit(request)
        return self._answers.outcome(run, cancels=self._answers.waits_as_consumer(run))

    async def _admit(self, request: Request) -> RunSnapshot:
        body = await read(request, RunBody, self._service.limits.body_bytes)
        return await self._service.admit(body, user(request))

    async def create_batch(self, request: Request) -> Response:
        """Create runs, each on its own thread unless it names one. All bodies are read first."""
        document = await read_json(request, self._service.limits.body_bytes)
        bodies = checked(document, list[BatchRunBody], "body")
        if not bodies:
            raise Invalid("body", "give at least one run")
        threads = [
            None if body.thread_id is None else uuid_of(body.thread_id, f"{place}.thread_id")
            for place, body in enumerate(bodies)
        ]
        admissions = self._service.admissions
        wanted = [
            await admissions.prepare(body, user(request), thread)
            for body, thread in zip(bodies, threads, strict=True)
        ]
        runs = [await admissions.admit(each) for each in wanted]
        return JSONAnswer([run_shape(run) for run in runs])

    async def cancel_many(self, request: Request) -> Response:
        """Abort runs of a thread, or all with a status."""
        action = CancelAction(one_of(request, "action", _ACTIONS) or "interrupt")
        body = await read(request, CancelManyBody, self._service.limits.body_bytes)
        if body.status is not None and (body.thread_id or body.run_ids is not None):
            raise Invalid("status", "give it, or a thread_id with run_ids, not both")
        if body.status is None and body.thread_id is None:
            raise Invalid("status", "give it, or a thread_id with run_ids")
        thread_id = None if body.thread_id is None else uuid_of(body.thread_id, "thread_id")
        run_ids = body.run_ids and [uuid_of(each, "run_ids") for each in body.run_ids]
        if thread_id is not None:
            await self._service.thread(thread_id, user(request))
        aborted = await self._service.runtime.cancel_many(
            thread_id, run_ids, body.status, action, user_id=user(request)
        )
        if not aborted:
            raise Missing("No run in flight matches.")
        return Response(status_code=204)
