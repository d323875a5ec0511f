"""A process made to be killed: it works, and says what was acknowledged to it.

    python -m tests.faults.child URL DURABILITY SEED

Writes a JSON line to its standard output for each acknowledgement, after it got it:
`opening`, `opened`, `run` (thread, run), `end` (run, status), `event` (run, sequence, type,
id: told to an observer), `message` (thread, run, seq, content) and `frame` (run, id, event,
data: of a resumable run). It never ends by itself.
"""

import asyncio
import random
import sys

from callboard import ConflictError, QueueFullError, Runtime

from .agents import AGENTS, register_restarted
from .voice import voice

THREADS = tuple(f"thread-{number}" for number in range(5))
WORKERS = 8
STRATEGIES = ("reject", "enqueue", "enqueue", "enqueue", "interrupt", "rollback")
RESUMABLE = ("framer", "restarted")


async def load(runtime, seed, acknowledge):
    """Make runs without end, and tell of each acknowledgement.

    Args:
        runtime: has the agents of `agents.py`.
        seed: what is asked for follows from it.
        acknowledge: called with the kind and its data.

    """
    runtime.observe(
        lambda event: acknowledge(
            "event", event.run_id, event.sequence, event.event_type, event.event_id
        )
    )
    async with asyncio.TaskGroup() as workers:
        for number in range(WORKERS):
            worker = _Worker(runtime, random.Random(f"{seed}/{number}"), acknowledge)
            workers.create_task(worker.work())


class _Worker:
    """One caller: creates some runs on a thread, and follows each to its end."""

    def __init__(self, runtime, chance, acknowledge):
        self._runtime = runtime
        self._chance = chance
        self._acknowledge = acknowledge

    async def work(self):
        while True:
            thread, endless = self._chance.choice(THREADS), []
            async with asyncio.TaskGroup() as followers:
                for _ in range(self._chance.randint(1, 6)):
                    run = await self._create(thread)
                    if run is not None:
                        followers.create_task(self._follow(run))
                        endless += [run.run_id] if run.assistant_id == "endless" else []
                for run_id in endless:
                    action = self._chance.choice(("interrupt", "rollback"))
                    await self._runtime.cancel(run_id, action)

    async def _create(self, thread):
        agent = self._chance.choice((*AGENTS, "restarted"))
        try:
            run = await self._runtime.create_run(
                thread,
                agent,
                input={"count": self._chance.randint(1, 12)},
                multitask_strategy=self._chance.choice(STRATEGIES),
                resumable=agent in RESUMABLE,
            )
        except (ConflictError, QueueFullError):
            return None
        self._acknowledge("run", thread, run.run_id)
        return run

    async def _follow(self, run):
        if run.request.resumable:
            async for frame in self._runtime.stream(run.run_id):
                if frame.id is not None:
                    self._acknowledge("frame", run.run_id, frame.id, frame.event, frame.data)
        result = await self._runtime.wait(run.run_id)
        self._acknowledge("end", run.run_id, result.status)
        for message in await self._runtime.list_messages(run.thread_id, run.run_id):
            self._acknowledge("message", run.thread_id, run.run_id, message.seq, message.content)


async def main(url, durability, seed):
    acknowledge = voice()
    acknowledge("opening")
    runtime = Runtime(AGENTS, store=url, durability=durability)
    register_restarted(runtime)
    async with runtime:
        acknowledge("opened")
        await load(runtime, seed, acknowledge)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
