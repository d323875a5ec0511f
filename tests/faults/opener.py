"""A process that opens a store, runs one run in it, and says in one line how that went.

    python -m tests.faults.opener URL

Says `["opened", run_id]`, or `["refused", name of the error, text]`. The superuser, whom no
file refuses anything, becomes nobody first.
"""

import asyncio
import os
import sys
import tempfile

from callboard import CallboardError, Runtime

from .agents import AGENTS
from .lives import url_of
from .voice import voice

NOBODY = 65534


async def attempt(url):
    try:
        async with Runtime(AGENTS, store=url) as runtime:
            result = await runtime.create_and_wait("t", "writer", input={"count": 1})
            return "opened", result.run_id
    except CallboardError as error:
        return "refused", type(error).__name__, str(error)


if __name__ == "__main__":
    say = voice()
    if os.getuid() == 0:
        # Nobody may not even read the installed packages: have them all in memory before.
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(attempt(url_of(f"{folder}/runs.db")))
        os.setuid(NOBODY)
    say(*asyncio.run(attempt(sys.argv[1])))
