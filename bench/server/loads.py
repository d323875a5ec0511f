"""What is asked of a server, and what that took: each load returns its samples by name."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from itertools import cycle, islice
from time import perf_counter, process_time
from typing import Any

from .process import Server

Samples = dict[str, list[float]]

TEXT = "Where is my order?"
LONG_TEXT = "The order left the warehouse this morning. " * 48
"""2 kB."""

THREADS = 50
CALLS_AT_ONCE = 20


async def warm_up(server: Server) -> None:
    """Let it import and compile what it needs."""
    await throughput(server, 60)
    await frames(server, 100)


async def waits_on_one_thread(server: Server, count: int) -> Samples:
    """`runs.wait`, one after the other, on one thread: `thread`, in milliseconds."""
    async with server.client() as client:
        thread = await client.threads.create()
        return {"thread": await _waits(client, thread["thread_id"], count)}


async def stateless_waits(server: Server, count: int) -> Samples:
    """The same without a thread: `stateless`, and `wait cpu`, milliseconds of the server's CPU."""
    async with server.client() as client:
        before = server.cpu()
        latencies = await _waits(client, None, count)
    return {"stateless": latencies, "wait cpu": [(server.cpu() - before) / count * 1e3]}


async def _waits(client: Any, thread_id: str | None, count: int) -> list[float]:
    latencies = []
    for number in range(count):
        text, began = f"{TEXT} ({number})", perf_counter()
        values = await client.runs.wait(thread_id, "echo", input={"text": text})
        latencies.append((perf_counter() - began) * 1e3)
        _check(values, text)
    return latencies


def _check(values: Any, text: str) -> None:
    if values.get("answer") != text:
        raise RuntimeError(f"a run answered {values}")


async def first_events(server: Server, count: int) -> Samples:
    """Streams of stateless runs: milliseconds to the `first` event, and to the graph's own."""
    first: list[float] = []
    graph: list[float] = []
    async with server.client() as client:
        for _ in range(count):
            began, asked = perf_counter(), {"input": {"text": TEXT}, "stream_mode": "updates"}
            stream = client.runs.stream(None, "echo", **asked)
            took = [((perf_counter() - began) * 1e3, part.event) async for part in stream]
            first.append(took[0][0])
            graph.append(next(at for at, event in took if event == "updates"))
    return {"first": first, "first of graph": graph}


async def throughput(server: Server, runs: int, text: str = TEXT) -> Samples:
    """Background runs over 50 new threads, created at once and joined: `rate`, a second.

    Each thread has a client of its own: the pool of one that has 200 requests under way takes
    more CPU than they do. Also `cpu`, milliseconds of the server's CPU a run, and `client cpu`, of
    this process. No more than 200 runs: callboard lets an address hold no more open.
    """
    threads = await _new_threads(server, THREADS)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(server.client()) for _ in threads]
        apis = [client.runs for client in clients]
        places = list(islice(cycle(zip(apis, threads, strict=True)), runs))
        cpu, own, began = server.cpu(), process_time(), perf_counter()
        created = await asyncio.gather(
            *(api.create(thread_id, "echo", input={"text": text}) for api, thread_id in places)
        )
        ends = await asyncio.gather(
            *(
                api.join(thread_id, run["run_id"])
                for (api, thread_id), run in zip(places, created, strict=True)
            )
        )
        took, cpu, own = perf_counter() - began, server.cpu() - cpu, process_time() - own
    for values in ends:
        _check(values, text)
    return {"rate": [runs / took], "cpu": [cpu / runs * 1e3], "client cpu": [own / runs * 1e3]}


async def frames(server: Server, count: int) -> Samples:
    """Custom frames of one stateless run, from the first that came to the last: `frames`/s."""
    asked = {"input": {"frames": count}, "stream_mode": "custom"}
    async with server.client() as client:
        stream = client.runs.stream(None, "talk", **asked)
        came = [perf_counter() async for part in stream if part.event == "custom"]
    if len(came) != count:
        raise RuntimeError(f"of {count} frames {len(came)} came")
    return {"frames": [(count - 1) / (came[-1] - came[0])]}


async def idle_threads(server: Server, count: int) -> Samples:
    """Threads that are created and nothing more: `threads`, kB of the server's memory a 1,000."""
    before = server.resident()
    await _new_threads(server, count)
    return {"threads": [(server.resident() - before) / count * 1000]}


async def kept_runs(server: Server, count: int) -> Samples:
    """Runs with 2 kB each that have ended: `kept`, kB of the server's memory that each takes."""
    before, batch = server.resident(), min(count, 4 * THREADS)
    for _ in range(count // batch):
        await throughput(server, batch, LONG_TEXT)
    return {"kept": [(server.resident() - before) / (count // batch * batch)]}


async def _new_threads(server: Server, count: int) -> list[str]:
    """Create them, some at a time."""
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def create() -> str:
        async with places:
            return str((await client.threads.create())["thread_id"])

    async with server.client() as client:
        return await asyncio.gather(*(create() for _ in range(count)))
