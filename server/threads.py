"""Threads: created, found, changed, copied, deleted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response

from ..domain.conflicts import ThreadBusy, ThreadExists
from ..domain.errors import AgentFault, CallboardError, InvalidValue
from ..domain.payload import JSON
from ..domain.queries import contains
from ..domain.views import ThreadSnapshot
from .bodies import (
    PruneBody,
    ThreadBody,
    ThreadCriteria,
    ThreadPatchBody,
    ThreadSearchBody,
)
from .encoding import JSONAnswer
from .errors import Invalid
from .operations import Operation, user
from .parsing import path_id, read, selected, uuid_of
from .schemas import REF, parts_of
from .service import Service
from .shapes import thread_shape

_THREAD = "/threads/{thread_id}"
_PAGE = 200
"""Threads that are read at once, where their values have to be looked at."""
_LIGHT = frozenset(
    {
        "thread_id",
        "created_at",
        "updated_at",
        "state_updated_at",
        "metadata",
        "config",
        "context",
    }
)
"""Fields that a thread's record alone tells."""
_STEP = re.compile(r"([^.\[\]]+)|\[(-?\d{1,9})\]")

_log = structlog.get_logger("callboard.server")
_op = partial(Operation, tag="Threads")


class ThreadRoutes:
    """Create, find, change, copy and delete threads.

    Args:
        service: what all routes share.

    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._runtime = service.runtime

    def operations(self) -> list[Operation]:
        """What there is."""
        one, many, none = {200: REF("Thread")}, {200: parts_of("Thread")}, {204: None}
        number = {200: {"type": "integer"}}

        return [
            _op("POST", "/threads", self.create, "Create thread", body=ThreadBody, answers=one),
            _op(
                "POST",
                "/threads/search",
                self.search,
                "Search threads",
                body=ThreadSearchBody,
                answers=many,
            ),
            _op(
                "POST",
                "/threads/count",
                self.count,
                "Count threads",
                body=ThreadCriteria,
                answers=number,
            ),
            _op(
                "POST",
                "/threads/prune",
                self.prune,
                "Prune threads",
                body=PruneBody,
                answers={200: {"type": "object"}},
            ),
            _op("GET", _THREAD, self.get, "Get thread", answers=one),
            _op(
                "PATCH",
                _THREAD,
                self.patch,
                "Change thread",
                body=ThreadPatchBody,
                answers={**one, **none},
            ),
            _op("DELETE", _THREAD, self.delete, "Delete thread", answers=none),
            _op("POST", f"{_THREAD}/copy", self.copy, "Copy thread", answers=one),
        ]

    async def create(self, request: Request) -> Response:
        """Create a thread, or answer the one there is, if that is wished."""
        body = await read(request, ThreadBody, self._service.limits.body_bytes)
        _check_ttl(body.ttl)
        asked = None if body.thread_id is None else uuid_of(body.thread_id, "thread_id")
        metadata, owner = body.metadata or {}, user(request)
        threads = None
        if body.supersteps:
            graph = self._service.graphs.of(metadata.get("graph_id"))
            if graph is None or not graph.threads.keeps_state:
                raise Invalid("supersteps", "name the graph as metadata.graph_id")
            threads = graph.threads
        try:
            thread = await self._runtime.create_thread(asked, metadata=metadata, user_id=owner)
        except ThreadExists as error:
            if body.if_exists != "do_nothing":
                raise
            known = await self._runtime.get_thread(error.thread_id, user_id=owner)
            if known is None:
                raise  # it is somebody else's
            return JSONAnswer(await self._shape(known))
        if threads is not None and body.supersteps:
            steps = [[each.model_dump() for each in step.updates] for step in body.supersteps]
            apply = partial(threads.apply, thread.thread_id, steps)
            try:
                await self._runtime.while_idle(thread.thread_id, apply, user_id=owner)
            except ThreadBusy:
                raise  # somebody runs something there already: it is no longer ours alone
            except CallboardError:
                await self._delete(thread.thread_id, owner)
                raise
        return JSONAnswer(await self._shape(thread))

    async def get(self, request: Request) -> Response:
        """A thread, with its values."""
        return JSONAnswer(await self._shape(await self._find(request)))

    async def patch(self, request: Request) -> Response:
        """Set keys of a thread's metadata."""
        thread_id = path_id(request, "thread_id")
        body = await read(request, ThreadPatchBody, self._service.limits.body_bytes)
        _check_ttl(body.ttl)
        thread = await self._runtime.update_thread(
            thread_id, body.metadata or {}, user_id=user(request)
        )
        if "return=minimal" in request.headers.get("prefer", ""):
            return Response(status_code=204)
        return JSONAnswer(await self._shape(thread))

    async def delete(self, request: Request) -> Response:
        """Abort a thread's runs, wait for them, and delete all of it."""
        thread = await self._find(request)
        await self._delete(thread.thread_id, user(request))
        return Response(status_code=204)

    async def _delete(self, thread_id: str, user_id: str | None) -> None:
        await self._runtime.delete_thread(thread_id, user_id=user_id)
        await self._service.graphs.forget(thread_id)

    async def copy(self, request: Request) -> Response:
        """A new thread with the same metadata and the same history of states."""
        thread = await self._find(request)
        copied = await self._runtime.create_thread(metadata=thread.metadata, user_id=thread.user_id)
        threads = self._service.graphs.threads_of(thread)
        if threads is not None:
            await threads.copy(thread.thread_id, copied.thread_id)
        return JSONAnswer(await self._shape(copied))

    async def prune(self, request: Request) -> Response:
        """Delete threads."""
        body = await read(request, PruneBody, self._service.limits.body_bytes)
        owner, pruned = user(request), 0
        for thread_id in [uuid_of(each, "thread_ids") for each in body.thread_ids]:
            if await self._runtime.get_thread(thread_id, user_id=owner) is not None:
                await self._delete(thread_id, owner)
                pruned += 1
        return JSONAnswer({"pruned_count": pruned})

    # Searching.

    async def search(self, request: Request) -> Response:
        """A page of threads; the headers tell how many there are, and where the next page is."""
        body = await read(request, ThreadSearchBody, self._service.limits.body_bytes)
        owner = user(request)
        end = body.offset + body.limit
        if body.values:
            found = [each async for each in self._with_values(body, owner)]
            page, total = found[body.offset : end], len(found)
        else:
            threads = await self._runtime.search_threads(
                limit=body.limit, offset=body.offset, **_criteria(body, owner)
            )
            light = bool(body.select) and _LIGHT.issuperset(body.select or ())
            page = [await self._shape(each, light=light and not body.extract) for each in threads]
            total = await self._total(body, owner, len(page))
        headers = {"X-Pagination-Total": str(total)}
        if end < total:
            headers["X-Pagination-Next"] = str(end)
        for each in page if body.extract else ():
            each["extracted"] = {
                name: _extract(each, path) for name, path in (body.extract or {}).items()
            }
        names = [*body.select, *(["extracted"] if body.extract else [])] if body.select else None
        return JSONAnswer(selected(page, names, "Thread"), headers=headers)

    async def _total(self, body: ThreadSearchBody, owner: str | None, here: int) -> int:
        if here < body.limit and (here or not body.offset):
            return body.offset + here
        if body.ids is not None:
            return body.offset + here
        return await self._runtime.count_threads(
            metadata=body.metadata, status=body.status, user_id=owner
        )

    async def count(self, request: Request) -> Response:
        """How many threads there are."""
        body = await read(request, ThreadCriteria, self._service.limits.body_bytes)
        owner = user(request)
        if body.values:
            search = ThreadSearchBody(**body.model_dump())
            return JSONAnswer(len([each async for each in self._with_values(search, owner)]))
        return JSONAnswer(
            await self._runtime.count_threads(
                metadata=body.metadata, status=body.status, user_id=owner
            )
        )

    async def _with_values(
        self, body: ThreadSearchBody, owner: str | None
    ) -> AsyncIterator[dict[str, JSON]]:
        """All threads whose values contain what is asked for."""
        offset = 0
        while page := await self._runtime.search_threads(
            limit=_PAGE, offset=offset, **_criteria(body, owner)
        ):
            offset += len(page)
            for thread in page:
                shape = await self._shape(thread)
                if contains(shape["values"], body.values):
                    yield shape

    # Shapes.

    async def _find(self, request: Request) -> ThreadSnapshot:
        return await self._service.thread(path_id(request, "thread_id"), user(request))

    async def _shape(self, thread: ThreadSnapshot, *, light: bool = False) -> dict[str, JSON]:
        if light:
            return thread_shape(thread, None, None)
        graphs = self._service.graphs
        last, state = await graphs.last_run(thread), None
        try:
            state = await graphs.state_of(thread, last)
        except (AgentFault, InvalidValue) as error:  # the other threads are to be seen
            _log.warning("state_unreadable", thread_id=thread.thread_id, error=str(error))
        return thread_shape(thread, state, last)


def _criteria(body: ThreadSearchBody, owner: str | None) -> dict[str, Any]:
    criteria: dict[str, Any] = {
        "metadata": body.metadata,
        "status": body.status,
        "user_id": owner,
        "descending": body.sort_order != "asc",
    }
    if body.ids is not None:
        criteria["thread_ids"] = [uuid_of(each, "ids") for each in body.ids]
    if body.sort_by is not None:
        changed = body.sort_by == "state_updated_at"
        criteria["sort_by"] = "updated_at" if changed else body.sort_by
    return criteria


def _extract(whole: JSON, path: str) -> JSON:
    """What lies at a path, as `values.messages[-1].content`; `None` if nothing does."""
    steps = _STEP.findall(path)
    for name, index in steps:
        if index and isinstance(whole, list) and -len(whole) <= int(index) < len(whole):
            whole = whole[int(index)]
        elif name and isinstance(whole, dict):
            whole = whole.get(name)
        else:
            return None
    return whole if steps else None  # a thread cannot hold itself


def _check_ttl(ttl: object) -> None:
    if ttl is not None:
        raise Invalid("ttl", "leave it out: this server deletes no threads by age")
