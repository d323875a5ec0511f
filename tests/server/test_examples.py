"""The examples do what they say."""

import asyncio
import runpy
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import AuthenticationError

from callboard import Runtime
from callboard.cli.project import read_project
from callboard.cli.project_graphs import made
from tests.server.house import Uvicorn, serving, story

EXAMPLES = Path(__file__).parents[2] / "examples"


@story
async def test_a_mounted_api_knows_its_users_and_its_host_observes():
    example = runpy.run_path(str(EXAMPLES / "fastapi_app.py"))
    server = Uvicorn(example["app"])
    task = asyncio.create_task(server.serve())
    await server.ready.wait()
    url = f"{server.url}/agents"
    async with get_client(url=url, api_key="ann's key") as ann, httpx.AsyncClient() as http:
        said = await ann.runs.wait(None, "echo", input="well said")
        parts = [part async for part in ann.runs.stream(None, "echo", input="to be")]
        refused = await http.post(f"{url}/threads/search", json={})
    async with get_client(url=url, api_key="no key") as nobody:
        with pytest.raises(AuthenticationError):
            await nobody.threads.search()
    server.stopping.set()
    await task

    assert said == {"said": "said", "to": "ann"}
    assert [part.event for part in parts] == ["metadata", "values", "values", "end"]
    assert refused.status_code == 401
    assert example["ended"] == {"run_completed": 2}


@story
async def test_the_project_is_served_as_it_is_described(monkeypatch):
    monkeypatch.setenv("ASSISTANT_NAME", "Horatio")
    project = read_project(EXAMPLES / "langgraph_project" / "langgraph.json")
    assert project.env == {"ASSISTANT_NAME": "Polonius"}
    async with AsyncExitStack() as stack:
        runtime = Runtime(await made(project.load(), stack), drain_timeout=0.0)
        async with serving(runtime=runtime) as served:
            runs, threads = served.client.runs, served.client.threads
            asked = {"messages": [{"role": "user", "content": "words, words, words"}]}
            said = await runs.wait(None, "assistant", input=asked)
            assert said["messages"][-1]["content"] == "Horatio heard: words, words, words"

            thread_id = (await threads.create())["thread_id"]
            draft = {"text": "Dear Ophelia"}
            stopped = await runs.wait(thread_id, "approval", input=draft)
            assert stopped["__interrupt__"][0]["value"]["draft"] == "Dear Ophelia"
            sent = await runs.wait(thread_id, "approval", command={"resume": "yes"})
            assert sent == {"text": "Dear Ophelia", "sent": True}
