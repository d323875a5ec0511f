"""Webhooks: told once how a run has ended, and led nowhere they must not go."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from tests.server.house import serving, story


@asynccontextmanager
async def listener():
    """An address, and what is posted there."""
    posted = asyncio.Queue()

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        posted.put_nowait((head.splitlines()[0], json.loads(await reader.readexactly(length))))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?a=1", posted


@pytest.mark.parametrize(
    ("agent", "status", "values"),
    [("echo", "success", {"said": 1, "user": None}), ("failing", "error", None)],
)
@pytest.mark.parametrize("threaded", [True, False])
@story
async def test_the_end_of_a_run_is_posted(agent, status, values, threaded):
    async with listener() as (url, posted), serving(private_webhooks=True) as served:
        thread_id = (await served.client.threads.create())["thread_id"] if threaded else None
        run = await served.client.runs.create(thread_id, agent, input=1, webhook=url)

        line, report = await posted.get()

        assert line == "POST /hook?a=1 HTTP/1.1"
        assert (report["run_id"], report["status"]) == (run["run_id"], status)
        assert report["values"] == values
        assert ("error" in report) is (status == "error")
        assert run["kwargs"]["webhook"] == url
        assert posted.empty()


@story
async def test_a_webhook_that_fails_harms_nobody():
    async with serving(private_webhooks=True) as served:
        url = "http://127.0.0.1:1/nobody"

        assert await served.client.runs.wait(None, "echo", input=1, webhook=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "file:///etc/passwd",
        "//host/path",
    ],
)
@story
async def test_private_addresses_are_refused(url):
    async with serving() as served:
        body = {"assistant_id": "echo", "webhook": url}

        answer = await served.http.post("/runs", json=body)

        assert answer.status_code == 422
        assert "webhook" in answer.json()["detail"]
