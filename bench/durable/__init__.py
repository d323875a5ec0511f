"""What durability costs: ours on SQLite and PostgreSQL, beside whoever else writes there.

A peer that is not installed gets a line that says so, and so does a server that is not
there. `CALLBOARD_BENCH_POSTGRES=postgresql+asyncpg://…` names the PostgreSQL to measure on:
an empty database of a user who may create another.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from ..measure import Row
from . import commits, paging, postgres, recovery, runs, writers

PARTS = (commits.rows, runs.rows, paging.rows, recovery.rows, postgres.rows, writers.rows)


async def rows(scale: float) -> AsyncIterator[Row | str]:
    """The lines about the durable store."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        for part in PARTS:
            async for row in part(Path(folder), scale):
                yield row
