"""The states of threads, as their graphs keep them."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from ..domain.payload import JSON
from ..domain.views import ThreadSnapshot
from .bodies import HistoryBody, StateBody, StateUpdateBody
from .checkpoints import address, state_at
from .encoding import JSONAnswer
from .errors import Refused
from .graphs import Threads
from .operations import Operation, user
from .parsing import flag, number, path_id, read, selected, words
from .schemas import BOOLEAN, LIMIT, TEXT, fields_of, part_of, parts_of
from .service import Service

_STATE = "/threads/{thread_id}/state"
_HISTORY = "/threads/{thread_id}/history"

_op = partial(Operation, tag="Thread states")


class StateRoutes:
    """Read and change states.

    Args:
        service: what all routes share.

    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What there is."""
        state = {200: part_of("ThreadState")}
        query = {"subgraphs": BOOLEAN, "select": fields_of("ThreadState")}

        return [
            _op("GET", _STATE, self.get, "Get state", query=query, answers=state),
            _op(
                "POST",
                f"{_STATE}/checkpoint",
                self.get_at_checkpoint,
                "Get state at a checkpoint",
                body=StateBody,
                answers=state,
            ),
            _op(
                "GET",
                f"{_STATE}/{{checkpoint_id}}",
                self.get_at_id,
                "Get state at a checkpoint's id",
                query=query,
                answers=state,
            ),
            _op(
                "POST",
                _STATE,
                self.update,
                "Change state",
                body=StateUpdateBody,
                answers={200: {"type": "object"}},
            ),
            *self._histories(),
        ]

    def _histories(self) -> list[Operation]:
        page = {"limit": LIMIT, "before": TEXT}
        return [
            _op(
                "POST",
                _HISTORY,
                self.history,
                "Get history",
                body=HistoryBody,
                answers={200: parts_of("ThreadState")},
            ),
            _op(
                "GET",
                _HISTORY,
                self.history_by_query,
                "Get history by query",
                query=page,
                answers={200: parts_of("ThreadState")},
            ),
        ]

    async def get(self, request: Request) -> Response:
        """The latest state."""
        subgraphs, names = flag(request, "subgraphs"), words(request, "select")
        thread = await self._find(request)
        state = await self._service.graphs.state_of(thread, subgraphs=subgraphs)
        return _states([state], names, one=True)

    async def get_at_id(self, request: Request) -> Response:
        """The state at a checkpoint, by its id."""
        place = address(None, request.path_params["checkpoint_id"])
        subgraphs, names = flag(request, "subgraphs"), words(request, "select")
        return await self._at(request, place, names, subgraphs=subgraphs)

    async def get_at_checkpoint(self, request: Request) -> Response:
        """The state at a checkpoint, by all that names it."""
        body = await read(request, StateBody, self._service.limits.body_bytes)
        return await self._at(
            request, address(body.checkpoint), body.select, subgraphs=body.subgraphs
        )

    async def _at(
        self,
        request: Request,
        place: dict[str, JSON],
        names: list[str] | None,
        *,
        subgraphs: bool,
    ) -> Response:
        thread = await self._find(request)
        threads = await self._threads(thread)
        state = await state_at(threads, thread.thread_id, place, subgraphs=subgraphs)
        return _states([state], names, one=True)

    async def update(self, request: Request) -> Response:
        """Change a state as if a node had written; not while a run is in flight."""
        body = await read(request, StateUpdateBody, self._service.limits.body_bytes)
        thread = await self._find(request)
        threads = await self._threads(thread)
        place = address(body.checkpoint, body.checkpoint_id)

        async def change() -> JSON:
            await self._find(request)  # it may have been deleted meanwhile
            if "checkpoint_id" in place:
                await state_at(threads, thread.thread_id, place)
            return await threads.update(
                thread.thread_id, body.values, as_node=body.as_node, checkpoint=place
            )

        runtime = self._service.runtime
        new = await runtime.while_idle(thread.thread_id, change, user_id=user(request))
        await runtime.update_thread(thread.thread_id, {})  # it has changed
        return JSONAnswer({"checkpoint": new, "configurable": new, **(new or {})})

    async def history(self, request: Request) -> Response:
        """A page of states, latest first."""
        body = await read(request, HistoryBody, self._service.limits.body_bytes)
        return await self._history(request, body)

    async def history_by_query(self, request: Request) -> Response:
        """The same, for those who ask by the query."""
        limit = number(request, "limit", 10, 1, 1000)
        before = request.query_params.get("before") or None
        return await self._history(request, HistoryBody(limit=limit, before=before))

    async def _history(self, request: Request, body: HistoryBody) -> Response:
        thread = await self._find(request)
        threads = await self._service.graphs.view_of(thread)
        before = address(body.before) if isinstance(body.before, dict) else body.before
        place = address(body.checkpoint)
        states = []
        if threads is not None:
            states = await threads.history(
                thread.thread_id,
                limit=body.limit,
                before=before,
                metadata=body.metadata,
                checkpoint=place,
            )
        return _states(states, body.select)

    async def _find(self, request: Request) -> ThreadSnapshot:
        return await self._service.thread(path_id(request, "thread_id"), user(request))

    async def _threads(self, thread: ThreadSnapshot) -> Threads:
        threads = await self._service.graphs.view_of(thread)
        if threads is None:
            raise Refused(
                422,
                "thread_id: no graph keeps this thread's state; run one on it first, "
                "or name it when creating the thread, as metadata.graph_id",
            )
        return threads


def _states(states: list[JSON], names: list[str] | None, *, one: bool = False) -> Response:
    chosen = selected(states, names, "ThreadState")
    return JSONAnswer(chosen[0] if one else chosen)
