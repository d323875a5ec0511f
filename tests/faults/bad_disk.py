"""A process whose disk does not write for a while, or is slow; killed when it has said all.

    python -m tests.faults.bad_disk FILE FAULT

FAULT is the file that `fsync.c` looks for. Says the acknowledgements of `child.py`, and
between them `["refused", name of the error]`, `["status", of a run that wants to end]`,
`["healthy", yes or no]`, and last `["slow", seconds that the runs took on the slow disk]`.
"""

import asyncio
import sys
from pathlib import Path

from callboard import Runtime, StoreUnavailable

from .agents import AGENTS
from .child import THREADS
from .lives import url_of
from .voice import voice

WHILE_FAILING = THREADS[2:]
LATE = 1
"""Seconds that each sync takes longer on a slow disk."""


async def end(runtime, thread, acknowledge):
    """Create a run and wait for its end, unless it is refused."""
    try:
        run = await runtime.create_run(thread, "writer", input={"count": 2})
    except StoreUnavailable as error:
        acknowledge("refused", type(error).__name__)
        return
    acknowledge("run", thread, run.run_id)
    result = await runtime.wait(run.run_id)
    acknowledge("end", run.run_id, result.status)


async def story(path, fault, acknowledge):
    entered, gate = asyncio.Event(), asyncio.Event()

    async def gated(run):
        entered.set()
        await gate.wait()

    async with Runtime({**AGENTS, "gated": gated}, url_of(path)) as runtime:
        await end(runtime, THREADS[0], acknowledge)
        running = await runtime.create_run(THREADS[1], "gated")
        acknowledge("run", THREADS[1], running.run_id)
        await entered.wait()

        fault.touch()
        gate.set()  # its end has to wait
        for thread in WHILE_FAILING:
            await end(runtime, thread, acknowledge)
        acknowledge("healthy", (await runtime.supervisor.health()).ok)
        acknowledge("status", (await runtime.get_run(running.run_id)).status)
        fault.unlink()

        acknowledge("end", running.run_id, (await runtime.wait(running.run_id)).status)
        await end(runtime, THREADS[0], acknowledge)
        acknowledge("healthy", (await runtime.supervisor.health()).ok)

        fault.write_text(str(LATE))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(end(runtime, thread, acknowledge) for thread in THREADS))
        acknowledge("slow", loop.time() - began)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(story(sys.argv[1], Path(sys.argv[2]), voice()))
