"""What the stories of the defects that were found share."""

import asyncio

SLOW = {"slow store": 1.0}


async def succeed(run):
    return "done"


async def sleep(run):
    await asyncio.sleep(60)


async def save_and_sleep(run):
    await run.checkpoint.save({"by": run.run_id})
    await asyncio.sleep(60)


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


async def frames_of(runtime, run_id):
    return [frame.event async for frame in runtime.stream(run_id)]


async def until(condition):
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - virtual time: it costs nothing
            await asyncio.sleep(0.01)
