"""The peer: LangGraph's in-memory development server, `langgraph dev`.

It cannot be installed beside callboard: `langgraph-api` wants `structlog<26`. So it gets an
environment of its own: where `CALLBOARD_BENCH_LANGGRAPH` names a `langgraph` command, that
one, otherwise one that is made at the first use, in the user's folder for caches.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from statistics import median

from .loads import throughput, warm_up
from .process import started

VARIABLE = "CALLBOARD_BENCH_LANGGRAPH"
PACKAGE = "langgraph-cli[inmem]"

JOBS = (1, 10, 40)
"""Runs at a time: what `langgraph dev` takes unless told otherwise, what it says it takes, many."""


def command() -> Path:
    """Where the `langgraph` command is.

    Raises:
        RuntimeError: there is none, and it cannot be installed.

    """
    if named := os.environ.get(VARIABLE):
        if which(named) is None:
            raise RuntimeError(f"{VARIABLE} names {named}, which is no command")
        return Path(named)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "callboard-bench" / "langgraph"
    found = folder / "bin" / "langgraph"
    if not found.is_file():
        print(f"installing {PACKAGE} in {folder}", file=sys.stderr)
        _call(sys.executable, "-m", "venv", str(folder))
        _call(str(folder / "bin" / "pip"), "install", "-q", PACKAGE)
    return found


def _call(*words: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stderr[-2000:]}")


def dev(langgraph: Path, jobs: int) -> tuple[str, ...]:
    """Start it as fast as it goes: nothing watched, nothing traced, nothing written or logged."""
    quiet = ("--no-browser", "--no-reload", "--allow-blocking", "--server-log-level", "ERROR")
    return (str(langgraph), "dev", *quiet, "--n-jobs-per-worker", str(jobs))


async def best_jobs(langgraph: Path, folder: Path, runs: int) -> int:
    """The number of `JOBS` with which it gets most runs done."""
    rates: dict[int, float] = {}
    for jobs in JOBS:
        async with started(folder / f"trial-{jobs}", dev(langgraph, jobs)) as server:
            await warm_up(server)
            rates[jobs] = median([(await throughput(server, runs))["rate"][0] for _ in range(3)])
    return max(rates, key=lambda jobs: rates[jobs])
