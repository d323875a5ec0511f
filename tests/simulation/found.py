"""What the stories of the defects that were found share."""

import asyncio
from datetime import UTC, datetime

from callboard.domain import CreateRunCommand, Fence, RunSnapshot, slot_of
from callboard.store import Entry

SLOW = {"slow store": 1.0}


async def succeed(run):
    return "done"


async def sleep(run):
    await asyncio.sleep(60)


async def save_and_sleep(run):
    await run.checkpoint.save({"by": run.run_id})
    await asyncio.sleep(60)


def record(run_id, status, *, attempt=0, stop_reason=None, **request):
    """A run on thread "t", as its process may leave it."""
    at = datetime(2000, 1, 1, tzinfo=UTC)
    return RunSnapshot(
        request=CreateRunCommand(run_id=run_id, thread_id="t", assistant_id="agent", **request),
        status=status,
        created_at=at,
        updated_at=at,
        attempt=attempt,
        stop_reason=stop_reason,
    )


async def leave(simulation, *records):
    """Be a process that died and left so many runs."""
    memory, slot = simulation.disk.memory, slot_of("t")
    fence = Fence(slot, await memory.claim([slot]))
    memory.commit([Entry(fence, insert=run) for run in records])


class Witness:
    def __init__(self):
        self.heard = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def on_event(self, event):
        await self.gate.wait()
        self.heard.append(str(event.event_type))


def crash(runtime, ref):
    runtime._house.kernel._crash(ref.actor_inbox, ValueError("kaput"))


def observer(runtime, name):
    return runtime._house._observers[name]


def handle_with(ref, kind, handler):
    """Have an actor, as it is now, handle a kind of message otherwise. Returns how it did."""
    actor = ref.actor_inbox.actor
    before = actor.handlers[kind]
    actor.handlers = {**actor.handlers, kind: handler}
    return before


async def gather_into(told, runtime, run_id):
    """Read a stream to its end; what it tells can be looked at meanwhile."""
    async for frame in runtime.stream(run_id):
        told.append(frame.event)


async def frames_of(runtime, run_id):
    return [frame.event async for frame in runtime.stream(run_id)]


async def until(condition):
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - virtual time: it costs nothing
            await asyncio.sleep(0.01)
