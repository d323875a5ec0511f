"""Assistants, health, description: what clients look at before they begin."""

import asyncio

import httpx
import pytest
from langgraph_sdk.errors import InternalServerError, NotFoundError
from starlette.applications import Starlette

from callboard import Runtime
from callboard.server import callboard_app
from callboard.server.catalogue import id_of
from tests.executors.graphs import nested
from tests.server.house import Uvicorn, echo, serving, story

AGENTS = {"nested": nested(), "echo": echo}


@story
async def test_every_agent_is_an_assistant():
    async with serving(AGENTS) as served:
        assistants = served.client.assistants

        found = await assistants.search()
        assert [each["graph_id"] for each in found] == ["echo", "nested"]
        assert await assistants.get(found[1]["assistant_id"]) == found[1]
        assert await assistants.search(graph_id="echo") == found[:1]
        assert await assistants.search(metadata={"created_by": "system"}, limit=1) == found[:1]
        page = await assistants.search(limit=1, response_format="object")
        assert page["next"] == "1"
        assert await assistants.count(name="nest") == 1
        with pytest.raises(NotFoundError):
            await assistants.get("00000000-0000-0000-0000-000000000000")


def test_an_agent_has_the_id_that_the_platform_gives_it():
    assert id_of("agent") == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"


@story
async def test_a_graph_is_shown_with_its_schemas_and_subgraphs():
    async with serving(AGENTS) as served:
        assistants = served.client.assistants

        graph = await assistants.get_graph("nested")
        deep = await assistants.get_graph("nested", xray=True)
        schemas = await assistants.get_schemas("nested")

        assert {"source": "__start__", "target": "before"} in graph["edges"]
        assert len(deep["nodes"]) > len(graph["nodes"])
        assert schemas["graph_id"] == "nested"
        assert schemas["input_schema"]["properties"]["path"]["type"] == "array"
        assert set(await assistants.get_subgraphs("nested")) == {"inner"}
        assert (await assistants.get_schemas("echo"))["input_schema"] is None


@story
async def test_what_is_not_offered_says_so():
    async with serving(AGENTS) as served:
        client = served.client

        for call in (
            client.assistants.create("nested"),
            client.crons.search(),
            client.store.get_item(["a"], "b"),
            client.assistants.get_versions("nested"),
        ):
            with pytest.raises(InternalServerError, match="not offered") as refused:
                await call
            assert refused.value.status_code == 501


@story
async def test_the_server_tells_of_itself():
    async with serving(AGENTS) as served:
        http = served.http
        await served.client.runs.wait(None, "echo")

        assert (await http.get("/ok")).json() == {"ok": True}
        assert (await http.get("/info")).json()["version"]
        metrics = (await http.get("/metrics")).text
        assert 'callboard_runs_ended_total{status="success"} 1.0' in metrics
        assert "callboard_server_connections 0.0" in metrics
        assert "openapi.json" in (await http.get("/docs")).text


@pytest.mark.parametrize("mount", ["", "/agents"])
@story
async def test_the_description_tells_where_the_server_is_mounted(mount):
    runtime = Runtime(AGENTS)
    host = Starlette()
    host.mount(mount, callboard_app(runtime))
    server = Uvicorn(host)
    async with runtime:
        task = asyncio.create_task(server.serve())
        await server.ready.wait()
        async with httpx.AsyncClient(base_url=server.url) as http:
            api = (await http.get(f"{mount}/openapi.json")).json()
            base = api.get("servers", [{"url": ""}])[0]["url"]
            made = await http.post(f"{base}/threads", json={})
        server.stopping.set()
        await task

    assert base == mount
    assert made.status_code == 200


@story
async def test_every_operation_is_described_with_what_it_takes():
    async with serving(AGENTS) as served:
        api = (await served.http.get("/openapi.json")).json()

        assert api["openapi"] == "3.1.0"
        create = api["paths"]["/threads/{thread_id}/runs"]["post"]
        assert create["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": "#/components/schemas/RunBody"
        }
        assert set(api["components"]["schemas"]) >= {"RunBody", "Run", "Thread", "Error"}
        names = [op["operationId"] for path in api["paths"].values() for op in path.values()]
        assert len(names) == len(set(names))
