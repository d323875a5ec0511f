"""A server in a process of its own, and what that process costs."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from langgraph_sdk import get_client

PROJECT = Path(__file__).with_name("project")
"""What each server serves: a folder with a `langgraph.json`."""

PATIENCE = 120.0
"""Seconds for a start, an answer or an end before the benchmark has failed."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def machine_cpu() -> float:
    """The seconds of CPU that the whole machine has been at work so far."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / _TICKS


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is up.

    Args:
        pid: of its process.
        url: where it listens.
        version: what it says of itself.

    """

    pid: int
    url: str
    version: str

    def client(self) -> Any:
        """Speaks to it, as users do; to be entered and left.

        A load takes new ones: when a connection has been idle for 5 s both sides close it, and
        a request that meets that fails.
        """
        return get_client(url=self.url, timeout=PATIENCE)

    def cpu(self) -> float:
        """The seconds of CPU that it and its children, the dead ones too, have used so far."""
        return sum(sum(map(int, fields[11:15])) for fields in self._stats()) / _TICKS

    def resident(self) -> float:
        """The kB of memory that it and its children hold."""
        return sum(int(fields[21]) for fields in self._stats()) * _PAGE / 1000

    def _stats(self) -> Iterator[list[str]]:
        """Of each process, what its stat file tells after the name, beginning with the state."""
        pids = [self.pid]
        for pid in pids:
            yield Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids.extend(map(int, children.read_text().split()))


@asynccontextmanager
async def started(folder: Path, command: Sequence[str]) -> AsyncIterator[Server]:
    """A server of the project, on a port of this machine.

    Args:
        folder: does not exist yet; it becomes a copy of the project, and the working directory.
        command: takes `--config`, `--host` and `--port`.

    """
    shutil.copytree(PROJECT, folder)
    port = _free_port()
    where = ("--config", str(folder / "langgraph.json"), "--host", "127.0.0.1", "--port", str(port))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, *where, cwd=folder, env=_environment(), stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        version = await _ready(process, url)
        if not version:
            said = await asyncio.to_thread((folder / "log").read_text)
            raise RuntimeError(f"a server did not start: {said[-2000:]}")
        yield Server(process.pid, url, version)
    finally:
        await _stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _environment() -> dict[str, str]:
    """Ours, without what would make graphs report to somebody, or servers look for news."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LANGSMITH", "LANGCHAIN", "LANGGRAPH"))
    }
    return kept | {"LANGSMITH_TRACING": "false", "LANGGRAPH_NO_VERSION_CHECK": "true"}


async def _ready(process: asyncio.subprocess.Process, url: str) -> str:
    """Wait until it answers. Returns its version, or nothing if it has ended instead."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(base_url=url) as http:
        while process.returncode is None:
            try:
                if (await http.get("/ok")).is_success:
                    return str((await http.get("/info")).json()["version"])
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    return ""


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 20.0)
    except TimeoutError:
        process.kill()
        await process.wait()
