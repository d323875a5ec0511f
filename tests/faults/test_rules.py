"""The rules themselves: they find nothing where nothing is wrong, and each fault that is put in."""

import asyncio
import dataclasses

import pytest

from callboard import RunStatus, Runtime

from .agents import AGENTS, register_restarted
from .checker import look
from .child import load
from .rules import Found, violations


class Enough(Exception):
    pass


@pytest.fixture(scope="module")
def life():
    """A runtime in memory under load, closed in good order: what is found, and acknowledged."""
    return asyncio.run(_life())


async def _life():
    acknowledged = []
    runtime = Runtime(AGENTS, drain_timeout=0.0)
    register_restarted(runtime)
    async with runtime:
        enough = asyncio.Event()

        def acknowledge(*what):
            acknowledged.append(list(what))
            if len(acknowledged) >= 1000:
                enough.set()

        work = asyncio.ensure_future(load(runtime, 0, acknowledge))
        await enough.wait()
        work.cancel()
        await asyncio.wait([work])
        await runtime.cancel_many(status="all")
        for run in await runtime._store.runs.list_inflight():
            await runtime.wait(run.run_id)
        return await look(runtime), acknowledged


def _without_a_run(found, acknowledged):
    runs = dict(found.runs)
    del runs[next(run_id for kind, _, run_id, *_ in acknowledged if kind == "run")]
    return dataclasses.replace(found, runs=runs)


def _with_another_end(found, acknowledged):
    run_id = next(run_id for kind, run_id, *_ in acknowledged if kind == "end")
    changed = dataclasses.replace(found.runs[run_id], status=RunStatus.TIMEOUT)
    return dataclasses.replace(found, runs={**found.runs, run_id: changed})


def _without_event(event_of):
    def without(found, acknowledged):
        succeeded = (
            i for i, e in enumerate(found.events) if found.runs[e.run_id].status == "success"
        )
        index = next(i for i in succeeded if event_of(found.events[i]))
        return dataclasses.replace(found, events=found.events[:index] + found.events[index + 1 :])

    return without


def _with_an_event_twice(found, acknowledged):
    return dataclasses.replace(found, events=[*found.events, found.events[-1]])


def _with_another_frame(found, acknowledged):
    run_id, number = next((run, int(n)) for kind, run, n, *_ in acknowledged if kind == "frame")
    frames = list(found.frames[run_id])
    frames[number - 1] = (number, "values", {"attempt": 1, "number": 77})
    return dataclasses.replace(found, frames={**found.frames, run_id: frames})


def _with_a_run_left(found, acknowledged):
    run_id = next(iter(found.runs))
    left = dataclasses.replace(found.runs[run_id], status=RunStatus.RUNNING)
    return dataclasses.replace(found, runs={**found.runs, run_id: left})


def _with_two_starts_swapped(found, acknowledged):
    started = [e for e in found.events if e.event_type == "run_started"]
    first = started[0]
    second = next(e for e in started[1:] if e.thread_id == first.thread_id)
    swap = {first.event_id: second.run_id, second.event_id: first.run_id}
    events = [dataclasses.replace(e, run_id=swap.get(e.event_id, e.run_id)) for e in found.events]
    return dataclasses.replace(found, events=events)


FAULTS = {
    "a lost run": (_without_a_run, "acknowledged, but not stored: run"),
    "another end": (_with_another_end, "acknowledged, but not stored: end"),
    "a run left": (_with_a_run_left, "is left running"),
    "a lost fact": (_without_event(lambda e: e.event_type == "run_started"), "the sequences"),
    "a lost end": (_without_event(lambda e: e.event_type == "run_completed"), "its events say"),
    "a lost message": (_without_event(lambda e: e.category == "message"), "without all its"),
    "a lost frame": (_without_event(lambda e: e.category == "frame"), "what is in the log"),
    "another frame": (_with_another_frame, "acknowledged, but not stored: frame"),
    "an event twice": (_with_an_event_twice, "is stored 2 times"),
    "a changed order": (_with_two_starts_swapped, "created in the order"),
}


def test_of_a_store_that_did_everything_right_the_rules_have_nothing_to_say(life):
    found, acknowledged = life

    assert violations(found, acknowledged) == []
    assert {kind for kind, *_ in acknowledged} == {"run", "end", "event", "message", "frame"}


@pytest.mark.parametrize(("spoil", "sentence"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found(life, spoil, sentence):
    found, acknowledged = life
    spoilt: Found = spoil(found, acknowledged)

    assert [wrong for wrong in violations(spoilt, acknowledged) if sentence in wrong] != []
