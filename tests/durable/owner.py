"""A process that owns slots of a store, and says on its standard output what happens to it.

    python owner.py URL FIRST_SLOT END_SLOT LEASE THREAD

It starts a run that never ends and queues another behind it.
"""

import asyncio
import sys

from callboard import Runtime
from callboard.domain import RuntimeClosed
from callboard.store.sql import SqlStore


def say(*words):
    print(*words, flush=True)


async def forever(run):
    try:
        await asyncio.Event().wait()
    finally:
        say("aborted", run.run_id)


async def echo(run):
    return run.input


async def main(url, first, end, lease, thread):
    store = SqlStore(url, lease=float(lease))
    agents = {"forever": forever, "echo": echo}
    runtime = Runtime(agents, store, slots=range(int(first), int(end)))
    begun = asyncio.Event()
    runtime.observe(lambda event: begun.set() if event.event_type == "run_started" else None)
    await runtime.start()
    await runtime.create_run(thread, "forever", run_id=f"{thread}-running")
    await begun.wait()
    await runtime.create_run(
        thread, "echo", input="a", multitask_strategy="enqueue", run_id=f"{thread}-queued"
    )
    events = runtime.supervisor.subscribe()
    say("ready")
    async for event in events:
        if event.type == "escalated":
            say("lost", event.error)
    try:
        await runtime.create_run(thread, "echo")
    except RuntimeClosed as error:
        say("refused", type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
