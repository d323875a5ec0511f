"""Agents whose doings can be checked afterwards: what they record counts up from 0."""

import asyncio

from callboard import RestartPolicy


async def writer(run):
    """Records messages."""
    for number in range(run.input["count"]):
        run.message("ai", {"attempt": run.attempt, "number": number})
    return {"messages": run.input["count"]}


async def slow(run):
    """The same, and lets everybody else in between."""
    for number in range(run.input["count"]):
        run.message("ai", {"attempt": run.attempt, "number": number})
        await asyncio.sleep(0.002)
    return {"messages": run.input["count"]}


async def framer(run):
    """Emits frames."""
    for number in range(run.input["count"]):
        yield "values", {"attempt": run.attempt, "number": number}
        await asyncio.sleep(0)


async def endless(run):
    """Waits until it is aborted."""
    await asyncio.Event().wait()


async def brief(run):
    """What `endless` becomes where everything has to come to an end."""


AGENTS = {"writer": writer, "slow": slow, "framer": framer, "endless": endless}
AGENTS_THAT_END = {**AGENTS, "endless": brief}


def register_restarted(runtime):
    """Add `restarted`: a `framer` that is tried again when its process has died."""
    runtime.register("restarted", framer, RestartPolicy(on_orphan="restart"))
