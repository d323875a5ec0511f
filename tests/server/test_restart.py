"""A server that ends in the middle of streams, and clients that notice nothing but a pause."""

import asyncio
import json
import signal
import socket
import sys
from contextlib import asynccontextmanager

import pytest
from langgraph_sdk import get_client

from tests.server.house import story

GRAPHS = """
import asyncio
import operator
import os
import time
from pathlib import Path
from typing import Annotated, TypedDict

from langgraph.graph import START, StateGraph


class Pages(TypedDict):
    pages: Annotated[list[str], operator.add]


def writes(name):
    async def write(state):
        return {"pages": [name]}

    return write


async def gate(state):
    Path(os.environ["GATE"] + ".reached").touch()
    while not Path(os.environ["GATE"]).exists():
        await asyncio.sleep(0.01)
    return {"pages": ["gate"]}


def hold(state):
    Path(os.environ["GATE"] + ".reached").touch()
    while True:
        time.sleep(0.01)


def leave(state):
    raise SystemExit("enough")


stubborn = StateGraph(Pages).add_node(hold).add_edge(START, "hold")
leaving = StateGraph(Pages).add_node(leave).add_edge(START, "leave")


def make():
    graph = StateGraph(Pages)
    last = START
    for name, node in (("a", writes("a")), ("gate", gate), ("b", writes("b"))):
        graph.add_node(name, node)
        graph.add_edge(last, name)
        last = name
    return graph
"""


class Project:
    """A project in a folder, and servers of it, one after the other."""

    def __init__(self, folder):
        self.folder, self.gate = folder, folder / "gate"
        (folder / "graphs.py").write_text(GRAPHS)
        places = {"writer": "make", "stubborn": "stubborn", "leaving": "leaving"}
        graphs = {name: f"./graphs.py:{place}" for name, place in places.items()}
        document = {"graphs": graphs, "env": {"GATE": str(self.gate)}}
        (folder / "langgraph.json").write_text(json.dumps(document))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def reached(self):
        """Whether a graph waits at the gate."""
        return self.gate.with_name("gate.reached").exists()

    @asynccontextmanager
    async def served(self):
        """A server in a process of its own, while it is ready."""
        store = f"sqlite+aiosqlite:///{self.folder}/runs.db"
        command = ["-m", "callboard", "serve", "--config", str(self.folder / "langgraph.json")]
        options = ["--port", str(self.port), "--store", store, "--drain", "0"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, *options, stderr=asyncio.subprocess.PIPE
        )
        lines = []
        while line := await process.stderr.readline():
            lines.append(line.decode())
            if '"serving"' in lines[-1]:
                break
        else:
            raise AssertionError("".join(lines))
        reading = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            process.log = "".join(lines) + (await reading).decode()


@pytest.mark.filterwarnings("ignore:Request failed, attempting reconnect")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@story
async def test_streams_and_waits_go_on_across_a_restart_and_lose_nothing(end, tmp_path):
    project, seen = Project(tmp_path), []
    # With `sync` the gate is reached when the step before it is saved, and not repeated.
    asked = {
        "input": {"pages": []},
        "stream_mode": ["updates", "values"],
        "durability": "sync",
    }
    async with get_client(url=project.url) as client:
        async with project.served() as first:
            thread_id = (await client.threads.create(metadata={"n": 1}))["thread_id"]
            stream = client.runs.stream(thread_id, "writer", **asked, stream_resumable=True)
            async for part in stream:
                seen.append(part)
                if part.event == "updates":
                    break
            queued = asyncio.create_task(
                client.runs.wait(thread_id, "writer", input={"pages": ["second"]})
            )
            while not project.reached or len(await client.runs.list(thread_id)) < 2:
                await client.threads.get(thread_id)  # lets the others go on
            first.send_signal(end)
            await first.wait()
        project.gate.touch()
        async with project.served() as second:
            seen += [part async for part in stream]
            last = await queued
            thread = await client.threads.get(thread_id)
            runs = await client.runs.list(thread_id)
            second.send_signal(signal.SIGTERM)

    numbers = [int(part.id) for part in seen]
    assert numbers == list(range(1, len(numbers) + 1)), second.log
    told = [next(iter(part.data)) for part in seen if part.event == "updates"]
    assert told == ["a", "gate", "b"]
    assert seen[-1].event == "end"
    assert last["pages"] == ["a", "gate", "b", "second", "a", "gate", "b"]
    assert {run["status"] for run in runs} == {"success"}
    assert (thread["status"], thread["metadata"]["n"]) == ("idle", 1)
    assert '"level": "error"' not in first.log + second.log
    assert "Traceback" not in first.log + second.log


@story
async def test_a_server_that_is_told_to_stop_lets_short_runs_finish(tmp_path):
    project = Project(tmp_path)
    project.gate.touch()
    async with get_client(url=project.url) as client, project.served() as served:
        thread_id = (await client.threads.create())["thread_id"]
        answer = await client.runs.wait(thread_id, "writer", input={"pages": []})
        served.send_signal(signal.SIGTERM)
        code = await served.wait()

    assert answer == {"pages": ["a", "gate", "b"]}
    assert code == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@story
async def test_a_node_that_does_not_end_ends_with_its_process(number, tmp_path):
    project = Project(tmp_path)
    async with get_client(url=project.url) as client, project.served() as process:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.create(thread_id, "stubborn", input={"pages": []})
        while not project.reached:
            await client.threads.get(thread_id)  # lets the others go on
        ended = asyncio.ensure_future(process.wait())
        while not ended.done():
            process.send_signal(number)  # the second one says that it has to be now
            await asyncio.wait([ended], timeout=0.5)
        assert process.returncode == -number


@story
async def test_a_node_that_wants_to_exit_fails_its_run_and_not_the_server(tmp_path):
    project = Project(tmp_path)
    async with get_client(url=project.url) as client, project.served() as process:
        asked = {"input": {"pages": []}}
        ended = await client.runs.wait(None, "leaving", **asked, raise_error=False)
        assert "SystemExit" in ended["__error__"]["message"]
        project.gate.touch()
        ended = await client.runs.wait(None, "writer", **asked)
        assert ended == {"pages": ["a", "gate", "b"]}
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        await process.wait()
    assert "node_wants_to_exit" in process.log
