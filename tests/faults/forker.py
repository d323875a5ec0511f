"""A process that forks while its store is open.

    python -m tests.faults.forker URL

Says `["tried", …]`: what became of a write, a read, closing, and a store of its own in the
child, each `[name of the error, text]` or `null`; then `["parent", status]` of a run that the
parent made after that, and `["closed", pid of the child]`. On SIGUSR1 the child ends, as a
process does that nobody kills, and `["over"]` is said.
"""

import asyncio
import os
import signal
import sys

from callboard import CallboardError, Runtime
from callboard.store.entries import Entry
from callboard.store.sql import SqlStore

from .agents import AGENTS
from .child import THREADS
from .voice import voice

RUN = (THREADS[0], "writer")


async def error_of(work):
    try:
        await work
    except CallboardError as error:
        return type(error).__name__, str(error)
    return None


async def attempts(store, url):
    return [
        await error_of(store.commit([Entry(None)])),
        await error_of(store.runs.get("r")),
        await error_of(store.close()),
        await error_of(SqlStore(url).open()),
    ]


async def begin(runtime):
    await runtime.start()
    await runtime.create_and_wait(*RUN, input={"count": 12})


async def end(runtime):
    result = await runtime.create_and_wait(*RUN, input={"count": 12})
    await runtime.aclose()
    return result.status


def main(say, url):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    store = SqlStore(url)
    runtime = Runtime(AGENTS, store)
    with asyncio.Runner() as runner:
        runner.run(begin(runtime))
        read, write = os.pipe()
        child = os.fork()
        if not child:
            say("tried", *asyncio.run(attempts(store, url)))
            os.write(write, b"tried")
            signal.sigwait({signal.SIGUSR1})
            sys.exit()
        os.read(read, 5)
        say("parent", runner.run(end(runtime)))
    say("closed", child)
    os.waitpid(child, 0)
    say("over")


if __name__ == "__main__":
    main(voice(), sys.argv[1])
