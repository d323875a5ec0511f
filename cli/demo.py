"""`callboard demo`: a few scenes with real graphs, each checked while it plays."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from importlib.util import find_spec
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import structlog

from ..actors.agents import Agent
from ..actors.context import RunContext
from ..actors.runtime import Runtime
from ..domain.errors import CallboardError
from ..domain.policies import RestartPolicy
from ..domain.views import RunSnapshot
from ..observers import MetricsObserver
from . import demo_durable
from .show import Show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_GRACE = 0.5
"""Seconds an aborted agent of the demo may take to unwind."""


def add_command(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser("demo", help="show what callboard does, with real graphs")
    parser.add_argument(
        "--store",
        metavar="URL",
        help="another play, kept there: kill it, start it again, and it goes on where it was",
    )
    parser.add_argument(
        "--pace", type=float, default=0.4, help="seconds of a step, with --store (%(default)s)"
    )
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Play the scenes.

    Returns 0 if everything came out as claimed, 1 if not, 2 if it cannot be played, 130 if it
    was told to stop.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    show = Show()
    try:
        if options.store is not None:
            asyncio.run(demo_durable.play(show, options.store, options.pace))
        elif find_spec("langgraph") is None:
            print("The demo runs LangGraph graphs: pip install 'callboard[langgraph]'")
            return 2
        else:
            asyncio.run(_play(show))
    except CallboardError as error:
        print(f"callboard demo: {error}", file=sys.stderr)
        return 2
    except asyncio.CancelledError:
        print("\ndemo: stopped; its runs were aborted, and their ends are stored")
        return 130
    good = show.checks - len(show.failed)
    print(f"\ndemo: {good} of {show.checks} claims held")
    return 1 if show.failed else 0


async def _play(show: Show) -> None:
    metrics = MetricsObserver()
    with TemporaryDirectory(prefix="callboard-demo-") as folder:
        store = f"sqlite+aiosqlite:///{folder}/demo.db"
        async with Runtime(_agents(), store, abort_grace=_GRACE) as runtime:
            runtime.observe(metrics, name="metrics")
            for scene in SCENES:
                await scene(runtime, show)
            await _summary(runtime, show, metrics)


def _agents() -> dict[str, Any]:
    from . import graphs  # noqa: PLC0415 - needs LangGraph

    restarts = RestartPolicy(max_restarts=3, backoff=0.2)
    return {
        "calculator": graphs.calculator(),
        "chat": graphs.chat(),
        "approval": graphs.approval(),
        "writer": graphs.writer(),
        "frail": Agent(graphs.frail(2), restart=restarts),
        "stubborn": stubborn,
    }


async def stubborn(run: RunContext) -> None:
    """An agent that ignores its abort."""
    while not run.fenced:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def _tools(runtime: Runtime, show: Show) -> None:
    show.scene(
        "1. A graph with tools", "Frames stream while it runs; messages and tokens are kept."
    )
    asked = {"messages": [("human", "What is six times seven?")]}
    stream = await runtime.create_and_stream(
        "math", "calculator", input=asked, stream_mode="updates"
    )
    async for frame in stream:
        show.frame("math", frame)
    messages = await runtime.list_messages("math")
    tokens = await runtime.aggregate_tokens("math")
    show.check("human, call, tool and answer are recorded", holds=len(messages) == 4)
    show.check("43 tokens are counted, by model", holds=tokens.by_model["scripted-1"].tokens == 43)


async def _streaming(runtime: Runtime, show: Show) -> None:
    show.scene("2. Two readers of one run", "The second comes late and resumes by frame id.")
    asked = {"messages": [("human", "Speak the speech.")]}
    run = await runtime.create_run("stage", "chat", input=asked, stream_mode="messages")
    first = [frame async for frame in runtime.stream(run.run_id)]
    for frame in first[:4]:
        show.frame("stage", frame)
    middle = first[len(first) // 2]
    rest = [frame async for frame in runtime.stream(run.run_id, last_event_id=middle.id)]
    print(f"  … {len(first)} frames; a reader that resumes after #{middle.id} gets {len(rest)}")
    show.check("no frame is lost or repeated", holds=first[len(first) // 2 + 1 :] == rest)


async def _human(runtime: Runtime, show: Show) -> None:
    show.scene("3. A human in the loop", "The run ends at the question; the answer is a new run.")
    asked = {"messages": [("human", "Write to Hamlet.")]}
    result = await runtime.create_and_wait("letter", "approval", input=asked)
    print(f"  asks: {result.completion_data['interrupts']}")
    status = await runtime.thread_status("letter")
    show.check("the thread waits for a human", holds=status == "interrupted")
    answered = await runtime.create_and_wait("letter", "approval", command={"resume": "yes"})
    last = answered.output["messages"][-1]["content"]
    show.check(f"it goes on with the answer: {last!r}", holds=last == "The human said: yes.")


async def _write(runtime: Runtime, thread: str, strategy: Any = "reject") -> RunSnapshot:
    return await runtime.create_run(
        thread,
        "writer",
        input={"pages": [f"by {strategy}"]},
        stream_mode=["values", "custom"],
        config={"stream_subgraphs": True},
        multitask_strategy=strategy,
    )


async def _queue(runtime: Runtime, show: Show) -> None:
    show.scene(
        "4. A second message queues", "It waits its turn: first in, first out, never at once."
    )
    first = await _write(runtime, "queue")
    second = await _write(runtime, "queue", "enqueue")
    third = await _write(runtime, "queue", "enqueue")
    show.tree(await runtime.supervisor.tree())
    await runtime.wait(third.run_id)
    runs = [await runtime.get_run(run.run_id) for run in (first, second, third)]
    times = [(run.started_at, run.finished_at) for run in runs if run is not None]
    apart = all(
        one[1] is not None and two[0] is not None and one[1] <= two[0]
        for one, two in pairwise(times)
    )
    show.check("three runs, one after the other", holds=apart and len(times) == 3)


async def _interrupt(runtime: Runtime, show: Show) -> None:
    show.scene("5. A second message interrupts", "The first run unwinds, and what it did is kept.")
    first = await _write(runtime, "busy")
    await asyncio.gather(runtime.create_run("busy-2", "stubborn"), asyncio.sleep(0.25))
    second = await _write(runtime, "busy", "interrupt")
    ended, new = await runtime.wait(first.run_id), await runtime.wait(second.run_id)
    print(f"  first: {ended.status} ({ended.stop_reason}); second: {new.status}")
    pages = new.output["pages"]
    print(f"  pages: {pages}")
    show.check("the first one's input is still in the state", holds=pages[0] == "by reject")
    show.check("the second one ran to its end", holds=new.status == "success")


async def _rollback(runtime: Runtime, show: Show) -> None:
    show.scene(
        "6. A second message rolls back", "What the aborted run wrote is gone, to the last bit."
    )
    before = await runtime.wait((await _write(runtime, "undo")).run_id)
    aborted = await _write(runtime, "undo", "enqueue")
    await asyncio.sleep(0.25)
    new = await _write(runtime, "undo", "rollback")
    after = await runtime.wait(new.run_id)
    print(f"  before: {before.output['pages']}")
    print(f"  after:  {after.output['pages']}")
    kept = after.output["pages"][: len(before.output["pages"])]
    show.check("the state before is there unchanged", holds=kept == before.output["pages"])
    show.check("nothing of the aborted run is", holds="by enqueue" not in after.output["pages"])
    record = await runtime.get_run(aborted.run_id)
    show.check("its record says so", holds=record is not None and record.action == "rollback")


async def _restart(runtime: Runtime, show: Show) -> None:
    show.scene("7. An agent dies, twice", "The supervisor restarts it from its last checkpoint.")
    events = runtime.supervisor.subscribe()
    run = await runtime.create_run("frail", "frail", input={"pages": []})
    result = await runtime.wait(run.run_id)
    for _ in range(4):
        event = await anext(events)
        show.event(event.type, f"{event.error} {dict(event.detail)}")
    events.close()
    pages = result.output["pages"]
    show.check("the third attempt succeeds", holds=result.status == "success")
    show.check(f"no finished step was repeated: {pages}", holds=pages == ["gathered once", "built"])


async def _abandon(runtime: Runtime, show: Show) -> None:
    show.scene(
        "8. An agent ignores its abort", f"After {_GRACE} s it is fenced, and the thread goes on."
    )
    (run,) = await runtime.list_runs("busy-2")
    await runtime.cancel(run.run_id, wait=True)
    result = await runtime.wait(run.run_id)
    print(f"  {result.status} ({result.stop_reason})")
    show.check("it is reported as abandoned", holds=result.stop_reason == "abandoned")
    asked = {"messages": [("human", "Still there?")]}
    again = await runtime.create_and_wait("busy-2", "chat", input=asked)
    show.check("the thread takes the next message", holds=again.status == "success")


async def _summary(runtime: Runtime, show: Show, metrics: MetricsObserver) -> None:
    show.scene("The supervision tree at the end", "Every thread idle, nothing in flight.")
    show.tree(await runtime.supervisor.tree())
    counted, health = metrics.statistics(), await runtime.supervisor.health()
    print(f"  runs: {counted.created} created, ended {dict(counted.ended)}")
    print(f"  executed: mean {counted.executed.mean or 0:.2f} s")
    show.check("every run has ended", holds=counted.created == sum(counted.ended.values()))
    show.check("the runtime is healthy", holds=health.ok and not health.runs_in_flight)


SCENES: tuple[Callable[[Runtime, Show], Awaitable[None]], ...] = (
    _tools,
    _streaming,
    _human,
    _queue,
    _interrupt,
    _rollback,
    _restart,
    _abandon,
)
