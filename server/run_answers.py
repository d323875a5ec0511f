"""Answers that follow a run to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.responses import Response

from ..domain.commands import JoinRunStreamCommand
from ..domain.enums import CancelAction, DisconnectMode, RunScope, RunStatus
from ..domain.identifiers import RunId
from ..domain.payload import JSON
from ..domain.views import RunResult, RunSnapshot
from .live import LiveResponse, json_when_done
from .service import Service
from .shapes import outcome_shape
from .sse import HEADERS, MEDIA_TYPE, events


class RunAnswers:
    """Makes streams, and JSON that comes when a run has ended.

    Args:
        service: has the runs.

    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._runtime = service.runtime

    def created(self, run: RunSnapshot) -> dict[str, str]:
        """The header that tells where a new run is."""
        place = f"/runs/{run.run_id}"
        if run.request.scope is not RunScope.TEMPORARY_THREAD:
            place = f"/threads/{run.thread_id}{place}"
        return {"Content-Location": place}

    def stream(
        self,
        run: RunSnapshot,
        last_event_id: str | None,
        modes: Collection[str] = (),
        *,
        cancels: bool = False,
    ) -> Response:
        """A run's events as they come.

        Args:
            run: the run.
            last_event_id: the last event that the client has seen.
            modes: the stream modes wanted; empty for all there are.
            cancels: abort the run if the client goes away.

        Raises:
            InvalidValue: that is no event's id.

        """
        JoinRunStreamCommand(run_id=RunId(run.run_id), last_event_id=last_event_id)  # is it one?
        start = self._service.start_of_stream(run.run_id, last_event_id)
        numbered = run.request.resumable
        return LiveResponse(
            events(self._runtime, run.run_id, start, modes, numbered=numbered),
            media_type=MEDIA_TYPE,
            headers={
                **HEADERS,
                **self.created(run),
                "Location": f"/threads/{run.thread_id}/runs/{run.run_id}/stream",
            },
            on_leave=(lambda: self._interrupt(run)) if cancels else None,
        )

    def outcome(self, run: RunSnapshot, *, cancels: bool = False) -> Response:
        """What a run has come to, when it has.

        Args:
            run: the run.
            cancels: abort the run if the client goes away.

        """
        return self._when_done(run, lambda: self._outcome(run), cancels=cancels)

    def outcome_of_cancelled(self, run: RunSnapshot, action: CancelAction) -> Response:
        """Abort a run, and tell what it has come to when it has unwound."""

        async def work() -> JSON:
            await self._runtime.cancel(run.run_id, action, wait=True)
            return await self._values(run)

        return self._when_done(run, work, cancels=False)

    def waits_as_consumer(self, run: RunSnapshot) -> bool:
        """Whether a run is to be aborted when the client that waits for it goes away."""
        return run.request.on_disconnect is DisconnectMode.CANCEL

    def _when_done(
        self, run: RunSnapshot, work: Callable[[], Awaitable[JSON]], *, cancels: bool
    ) -> Response:
        return LiveResponse(
            json_when_done(work),
            media_type="application/json",
            headers={
                **self.created(run),
                "Location": f"/threads/{run.thread_id}/runs/{run.run_id}/join",
            },
            on_leave=(lambda: self._interrupt(run)) if cancels else None,
        )

    async def _outcome(self, run: RunSnapshot) -> JSON:
        ended = run.status.is_terminal
        result = RunResult.of(run) if ended else await self._runtime.wait(run.run_id)
        values = await self._values(run) if result.status is RunStatus.INTERRUPTED else None
        return outcome_shape(result, values)

    async def _values(self, run: RunSnapshot) -> JSON:
        """The values that a run's thread has now; none if it is gone."""
        thread = await self._runtime.get_thread(run.thread_id, user_id=run.user_id)
        if thread is None:
            return {}
        return (await self._service.graphs.state_of(thread))["values"]

    async def _interrupt(self, run: RunSnapshot) -> None:
        await self._runtime.cancel(run.run_id, CancelAction.INTERRUPT)
