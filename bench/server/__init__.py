"""`callboard serve`, on SQLite and in memory, beside the LangGraph development server.

The same graphs, the same client (`langgraph_sdk`, in this process), each server in a process of
its own; load by load in turns. Where the peer comes from: `bench/server/peer.py`. Every ratio
says how many times better ours is: the median of the rounds'. Lines without a target are for
information.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ..measure import Row
from . import table
from .contest import contest
from .peer import best_jobs, command


async def rows(scale: float) -> AsyncIterator[Row | str]:
    """The lines about the server."""
    try:
        langgraph = await asyncio.to_thread(command)
    except RuntimeError as error:
        yield f"the server beside `langgraph dev`: {error}"
        return
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as name:
        folder = Path(name)
        jobs = await best_jobs(langgraph, folder, max(50, int(200 * scale)))
        servers = contest(folder, langgraph, jobs, scale)
        outcome = await servers.speed()
        yield f"the peer is langgraph-api {outcome.version} with {jobs} jobs at a time, its best"
        yield f"others kept {outcome.others:.1f} CPUs busy meanwhile"
        for row in table.speed(outcome):
            yield row
        await servers.memory(outcome)
        for row in table.memory(outcome):
            yield row
