"""A process whose files may not grow for a while, as on a full disk.

    python -m tests.faults.full_disk FILE

Says in one line what it was told: the `acknowledged` runs, the `refused` one and its `error`,
the `statuses` read while the disk was full, and the `ends` of the acknowledged runs.
"""

import asyncio
import contextlib
import resource
import signal
import sys
from pathlib import Path

from callboard import Runtime, StoreUnavailable

from .agents import AGENTS_THAT_END
from .lives import url_of
from .voice import voice

INPUT = {"text": "x" * 10_000}
TRIES = 2000


@contextlib.contextmanager
def no_growth(path, room=100_000):
    """No file of this process may grow beyond what the largest has, and some bytes more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(Path(path + end).stat().st_size for end in ("", "-wal"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def fill(runtime):
    """Create runs until one is refused: the acknowledged ones, the refused one, and why."""
    acknowledged = []
    for number in range(TRIES):
        run_id = f"run-{number}"
        try:
            await runtime.create_run(run_id, "endless", run_id=run_id, input=INPUT)
        except StoreUnavailable as error:
            return acknowledged, run_id, str(error)
        acknowledged.append(run_id)
    raise AssertionError("the disk was never full")


async def story(path):
    async with Runtime(AGENTS_THAT_END, store=url_of(path)) as runtime:
        before = await runtime.create_and_wait("before", "endless")
        with no_growth(path):
            acknowledged, refused, error = await fill(runtime)
            acknowledged.append(before.run_id)
            statuses = [(await runtime.get_run(run_id)).status for run_id in acknowledged]
        ends = [(await runtime.wait(run_id)).status for run_id in acknowledged]
        after = await runtime.create_and_wait("after", "endless", input=INPUT)
        return {
            "acknowledged": [*acknowledged, after.run_id],
            "refused": refused,
            "error": error,
            "statuses": statuses,
            "ends": [*ends, after.status],
        }


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    voice()(asyncio.run(story(sys.argv[1])))
