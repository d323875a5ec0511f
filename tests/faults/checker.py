"""Opens a store whose process was killed, lets it recover, and holds it against the rules."""

import asyncio

from callboard import Runtime

from .agents import AGENTS_THAT_END, register_restarted
from .child import THREADS
from .rules import Found, violations

PAGE = 1000


class Checker:
    """Checks a store that lives on over many lives: each time, what is new since the last.

    Args:
        url: the store.

    """

    def __init__(self, url):
        self._url = url
        self._position = 0
        self._known = set()
        self._floor = {}

    def check(self, acknowledged):
        """What is wrong with a store, given what was acknowledged since the last check.

        Args:
            acknowledged: the lines of `child.py`.

        Returns:
            a sentence for each violation; empty is good.

        """
        found = asyncio.run(self._recovered())
        wrong = violations(found, acknowledged, self._floor)
        self._known |= found.runs.keys()
        for event in found.events:
            self._position, self._floor[event.thread_id] = event.position, event.seq
        return wrong

    async def _recovered(self):
        runtime = Runtime(AGENTS_THAT_END, store=self._url)
        register_restarted(runtime)
        async with runtime:
            store = runtime._store
            for run in await store.runs.list_inflight():
                await runtime.wait(run.run_id)
            return await look(runtime, self._position, self._known)


async def look(runtime, after=0, known=frozenset()):
    """All that a runtime's store holds after a position, without the known runs."""
    runs = {}
    for thread in THREADS:
        runs |= await _runs(runtime, thread, known)
    frames = {
        run_id: [(int(f.id), f.event, f.data) async for f in runtime.stream(run_id) if f.id]
        for run_id, run in runs.items()
        if run.request.resumable
    }
    return Found(runs, await _events(runtime, after), frames)


async def _runs(runtime, thread, known):
    runs, offset = {}, 0
    while page := await runtime.list_runs(thread, limit=PAGE, offset=offset):
        new = {run.run_id: run for run in page if run.run_id not in known}
        runs |= new
        if len(new) < len(page):
            break
        offset += PAGE
    return runs


async def _events(runtime, after):
    events = []
    while page := await runtime._store.events.read(after=after, limit=PAGE):
        events += page
        after = page[-1].position
    return events
