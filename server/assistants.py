"""Assistants: the agents, as clients find them."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from ..domain.payload import JSON
from ..domain.queries import contains
from .bodies import AssistantCriteria, AssistantSearchBody
from .catalogue import Assistant
from .encoding import JSONAnswer
from .errors import NotOffered, Refused
from .graphs import GraphAgent
from .operations import Operation
from .parsing import flag, read, selected
from .schemas import BOOLEAN, OBJECT, REF, parts_of
from .service import Service

_ASSISTANT = "/assistants/{assistant_id}"

_op = partial(Operation, tag="Assistants")


class AssistantRoutes:
    """Find assistants, and look at their graphs.

    Args:
        service: what all routes share.

    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def operations(self) -> list[Operation]:
        """What there is."""
        sub = {"recurse": BOOLEAN}
        return [
            _op(
                "POST",
                "/assistants/search",
                self.search,
                "Search assistants",
                body=AssistantSearchBody,
                answers={200: parts_of("Assistant")},
            ),
            _op(
                "POST",
                "/assistants/count",
                self.count,
                "Count assistants",
                body=AssistantCriteria,
                answers={200: {"type": "integer"}},
            ),
            _op("GET", _ASSISTANT, self.get, "Get assistant", answers={200: REF("Assistant")}),
            _op("GET", f"{_ASSISTANT}/graph", self.graph, "Get graph", answers={200: OBJECT}),
            _op("GET", f"{_ASSISTANT}/schemas", self.schemas, "Get schemas", answers={200: OBJECT}),
            _op(
                "GET",
                f"{_ASSISTANT}/subgraphs",
                self.subgraphs,
                "Get subgraphs",
                query=sub,
                answers={200: OBJECT},
            ),
            _op(
                "GET",
                f"{_ASSISTANT}/subgraphs/{{namespace}}",
                self.subgraphs,
                "Get subgraph",
                query=sub,
                answers={200: OBJECT},
            ),
            _op("POST", "/assistants", self.fixed, "Create assistant", answers={501: None}),
            _op("PATCH", _ASSISTANT, self.fixed, "Change assistant", answers={501: None}),
            _op("DELETE", _ASSISTANT, self.fixed, "Delete assistant", answers={501: None}),
            _op("POST", f"{_ASSISTANT}/versions", self.fixed, "List versions", answers={501: None}),
            _op("POST", f"{_ASSISTANT}/latest", self.fixed, "Set version", answers={501: None}),
        ]

    async def search(self, request: Request) -> Response:
        """A page of assistants."""
        body = await read(request, AssistantSearchBody, self._service.limits.body_bytes)
        found = self._matching(body)
        if body.sort_by is not None or body.sort_order is not None:
            rank = body.sort_by or "created_at"
            found.sort(key=lambda each: str(each[rank]), reverse=body.sort_order != "asc")
        end = body.offset + body.limit
        headers = {"X-Pagination-Total": str(len(found))}
        if end < len(found):
            headers["X-Pagination-Next"] = str(end)
        page = selected(found[body.offset : end], body.select, "Assistant")
        return JSONAnswer(page, headers=headers)

    async def count(self, request: Request) -> Response:
        """How many assistants there are."""
        body = await read(request, AssistantCriteria, self._service.limits.body_bytes)
        return JSONAnswer(len(self._matching(body)))

    def _matching(self, body: AssistantCriteria) -> list[dict[str, JSON]]:
        catalogue = self._service.catalogue
        shapes = [catalogue.shape(assistant) for assistant in catalogue.all()]
        return [
            each
            for each in shapes
            if body.graph_id in (None, each["graph_id"])
            and (body.name or "").lower() in each["name"].lower()
            and contains(each["metadata"], body.metadata or {})
        ]

    async def get(self, request: Request) -> Response:
        """An assistant."""
        return JSONAnswer(self._service.catalogue.shape(self._find(request)))

    async def graph(self, request: Request) -> Response:
        """The nodes and edges of its graph."""
        asked = request.query_params.get("xray", "")
        xray = (
            int(asked)
            if asked.isascii() and asked.isdigit() and len(asked) < 4
            else flag(request, "xray")
        )
        return JSONAnswer(await self._graph(self._find(request)).drawing.drawing(xray))

    async def schemas(self, request: Request) -> Response:
        """The shapes of what its graph takes and gives."""
        assistant = self._find(request)
        graph = self._service.graphs.of(assistant.name)
        names = ("input", "output", "state", "config", "context")
        found = (
            await graph.drawing.schemas() if graph else {f"{name}_schema": None for name in names}
        )
        return JSONAnswer({"graph_id": assistant.name, **found})

    async def subgraphs(self, request: Request) -> Response:
        """The shapes of its subgraphs."""
        recurse = flag(request, "recurse")
        graph = self._graph(self._find(request))
        found = await graph.drawing.subgraphs(request.path_params.get("namespace"), recurse=recurse)
        return JSONAnswer(found)

    async def fixed(self, request: Request) -> Response:
        """Assistants come from the agents that the server was started with."""
        del request
        raise NotOffered("Making and changing assistants is")

    def _find(self, request: Request) -> Assistant:
        return self._service.catalogue.find(request.path_params["assistant_id"])

    def _graph(self, assistant: Assistant) -> GraphAgent:
        graph = self._service.graphs.of(assistant.name)
        if graph is None:
            raise Refused(422, f"assistant_id: the agent '{assistant.name}' is no graph")
        return graph
