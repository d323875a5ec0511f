"""`callboard demo --store URL`: a play that survives the death of its process.

Three novels are written on one thread, one after the other. Kill the process whenever you
like and start it again: it goes on where it was.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

from ..actors.agents import Agent
from ..actors.context import RunContext
from ..actors.runtime import Runtime
from ..domain.policies import RestartPolicy
from ..domain.views import Frame, RunSnapshot
from .show import Show

_THREAD = "novels"
_CHAPTERS = 8
_TITLES = ("The Prompter", "The Understudy", "The Call Boy")


def _agents(pace: float) -> dict[str, Any]:
    async def novelist(run: RunContext) -> AsyncIterator[tuple[str, Any]]:
        """Writes a chapter, and then notes that it is written."""
        written: list[int] = await run.checkpoint.load() or []
        mine = run.input["title"]
        done = written[-1] if written and written[0] == run.input["number"] else 0
        for chapter in range(done + 1, _CHAPTERS + 1):
            await asyncio.sleep(pace)
            yield "values", {"title": mine, "chapter": chapter}
            await run.checkpoint.save([run.input["number"], chapter])

    return {"novelist": Agent(novelist, restart=RestartPolicy(on_orphan="restart"))}


async def play(show: Show, url: str, pace: float) -> None:
    """Write what is left to write.

    Args:
        show: prints it.
        url: the store.
        pace: seconds a chapter takes.

    """
    async with Runtime(_agents(pace), url) as runtime:
        this = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, this.cancel)  # type: ignore[union-attr] # there is one
        runs = await _runs(runtime, show)
        for run in runs:
            await _follow(runtime, show, run)
        await _check(runtime, show, runs)


async def _runs(runtime: Runtime, show: Show) -> list[RunSnapshot]:
    """The novels that the last process left, or new ones; in their order."""
    known = (await runtime.list_runs(_THREAD))[::-1]
    left = [run for run in known if not run.status.is_terminal]
    if left:
        show.scene("Going on", f"The last process left {len(left)} novels; none is begun anew.")
        return known[-len(_TITLES) :]
    show.scene("Three novels", "Queued on one thread; every acknowledgement is on the disk.")
    print(f"  kill -9 {os.getpid()} whenever you like, and start it again")
    return [
        await runtime.create_run(
            _THREAD,
            "novelist",
            input={"title": title, "number": len(known) + number},
            multitask_strategy="enqueue",
            resumable=True,
            idempotency_key=f"novel-{len(known) + number}",
        )
        for number, title in enumerate(_TITLES, 1)
    ]


async def _follow(runtime: Runtime, show: Show, run: RunSnapshot) -> None:
    async for frame in runtime.stream(run.run_id):
        if frame.event != "heartbeat":
            show.frame(run.request.input["title"][4:], frame)


async def _check(runtime: Runtime, show: Show, runs: list[RunSnapshot]) -> None:
    show.scene("All written", "What every process wrote is there, once, and in order.")
    for run in runs:
        frames = [frame async for frame in runtime.stream(run.run_id)]
        ended = await runtime.wait(run.run_id)
        title = run.request.input["title"]
        whole = ended.status == "success" and _chapters(frames) == list(range(1, _CHAPTERS + 1))
        show.check(f"{title}: every chapter, and its end", holds=whole)
        ids = [int(frame.id or 0) for frame in frames]
        show.check(f"{title}: frames without a hole", holds=ids == [*range(1, len(ids) + 1)])
    ended_runs = [await runtime.get_run(run.run_id) for run in runs]
    times = [(run.started_at, run.finished_at) for run in ended_runs if run is not None]
    in_turn = all(
        one[1] is not None and two[0] is not None and one[1] <= two[0]
        for one, two in pairwise(times)
    )
    show.check("one after the other", holds=in_turn)


def _chapters(frames: list[Frame]) -> list[int]:
    """The chapters in the order they were told; one told twice by a restart counts once."""
    told = [frame.data["chapter"] for frame in frames if frame.event == "values"]
    return list(dict.fromkeys(told))
