"""Webhooks: told once how a run has ended, and led nowhere they must not go."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import httpx
import pytest

from callboard import Runtime
from callboard.server import callboard_app
from callboard.server.addresses import is_public
from callboard.server.shapes import OURS
from tests.executors.graphs import Gate
from tests.server.house import AGENTS, gated, serving, story


@asynccontextmanager
async def listener(status="204 No Content", headers=""):
    """An address, and what is posted there."""
    posted = asyncio.Queue()

    async def answer(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        posted.put_nowait((head.splitlines()[0], json.loads(await reader.readexactly(length))))
        writer.write(f"HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n".encode())
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
async def test_a_mounted_server_takes_up_what_was_in_flight_with_its_first_request(tmp_path):
    store = f"sqlite+aiosqlite:///{tmp_path / 'runs.db'}"
    async with listener() as (url, posted):
        former = Runtime(AGENTS(), store, drain_timeout=0.0)
        await former.start()
        told = {OURS: {"webhook": url}}
        run = await former.create_run("t", "echo", after_seconds=3600.0, host_data=told)
        await former.aclose(hand_over=True)

        async with Runtime(AGENTS(), store) as runtime:
            app = callboard_app(runtime, private_webhooks=True)  # without its lifespan
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://host") as http:
                for _ in range(2):
                    assert (await http.post("/threads/count", json={})).status_code == 200
                await runtime.cancel(run.run_id)
                _, report = await posted.get()
            await app.state.service.webhooks.aclose()

    assert (report["run_id"], report["status"]) == (run.run_id, "interrupted")
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
        "http://[::1",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:a00:1::]/",
        "http://[::127.0.0.1]/",
        "http://[fd00::1]/",
        "http://[fe80::1%25lo]/",
        "http://[ff02::1]/",
        "http://224.0.0.1/",
        "http://100.64.0.1/",
    ],
)
@story
async def test_private_addresses_are_refused(url):
    async with serving() as served:
        body = {"assistant_id": "echo", "webhook": url}

        answer = await served.http.post("/runs", json=body)

        assert answer.status_code == 422
        assert "webhook" in answer.json()["detail"]


@pytest.mark.parametrize(
    "host", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::"]
)
def test_addresses_of_the_internet_are_public(host):
    assert is_public(host)


@story
async def test_a_redirection_is_not_followed():
    async with listener() as (inner, reached):
        moved = listener("307 Temporary Redirect", f"Location: {inner}\r\n")
        async with moved as (url, posted), serving(private_webhooks=True) as served:
            await served.client.runs.wait(None, "echo", webhook=url)
            await posted.get()
        # What was on its way has arrived: the server has ended.
        assert reached.empty()


@story
async def test_a_name_is_looked_at_again_when_it_is_connected_to(monkeypatch):
    places = {"name": "1.1.1.1"}
    real = socket.getaddrinfo

    def look_up(host, *rest, **options):
        return real(places.get(host, host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    gate = Gate()
    async with listener() as (url, posted), serving(gated(slow=gate)) as served:
        port = url.rpartition(":")[2]
        await served.client.runs.create(None, "slow", webhook=f"http://name:{port}/hook")
        reports = [each for each in asyncio.all_tasks() if "webhook" in each.get_name()]
        places["name"] = "127.0.0.1"
        gate.open.set()
        await asyncio.wait(reports)

        assert posted.empty()


@story
async def test_silent_webhooks_hold_nobody_up():
    held = []

    async def keep(reader, writer):
        held.append(writer)
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(keep, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, listener() as (url, posted), serving(private_webhooks=True) as served:
        runs = served.client.runs
        for _ in range(20):
            await runs.wait(None, "echo", webhook=f"http://127.0.0.1:{port}/")

        run = await runs.create(None, "echo", webhook=url)

        assert (await posted.get())[1]["run_id"] == run["run_id"]
        for writer in held:
            writer.close()
