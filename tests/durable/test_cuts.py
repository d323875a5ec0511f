"""Durable before visible: whatever anybody was told is in the store.

A run's life is cut at each of its writes in turn, by a store that fails from then on; then
the process dies, and what callers, streams and observers had been told by then is looked
for in the file.
"""

import asyncio

import pytest

from callboard.domain import CallboardError, RunStatus
from tests.durable.house import AGENTS, CutStore, dies, opened_store, runtime_on, url_of

pytestmark = pytest.mark.leaves_tasks
"""A runtime that dies leaves tasks behind, on purpose."""

MOST_WRITES = 12


async def live(runtime, told):
    """Two runs on a thread, with everybody listening; `told` notes what they hear."""
    runtime.observe(lambda event: told.append(("event", event)), required=True)
    runtime.observe(lambda event: told.append(("event", event)))

    async def follow(run_id):
        async for frame in runtime.stream(run_id):
            told.append(("frame", run_id, frame))

    async def wait(run_id):
        told.append(("result", await runtime.wait(run_id)))

    tasks = []
    for words in ("to be", "or not"):
        run = await runtime.create_run(
            "t", "echo", input=words, multitask_strategy="enqueue", resumable=True
        )
        told.append(("run", run))
        tasks += [asyncio.ensure_future(each(run.run_id)) for each in (follow, wait)]
    await asyncio.gather(*tasks)


async def cut_life(url, after, lost_answer):
    """What was told until the process died, and whether the life was cut at all."""
    told = []
    async with opened_store(url) as store:
        cut = CutStore(store, after, lost_answer=lost_answer)
        async with dies(runtime_on(url, store=cut, agents=AGENTS)) as runtime:
            life = asyncio.ensure_future(live(runtime, told))
            gone = asyncio.ensure_future(cut.was_cut.wait())
            await asyncio.wait([life, gone], return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                # The writes before it are answered, and everything that follows from them.
                for _ in range(50):
                    await asyncio.sleep(0)
            was_cut = gone.done()
            gone.cancel()
            life.cancel()
            ended = await asyncio.gather(life, return_exceptions=True)
            assert not was_cut or isinstance(
                ended[0], CallboardError | asyncio.CancelledError | None
            )
    return told, was_cut


async def missing(url, told):
    """What of it is not in the file, or otherwise."""
    lies = []
    async with opened_store(url) as store:
        for kind, *what in told:
            if kind == "run":
                found = await store.runs.get(what[0].run_id)
                good = found is not None and found.request == what[0].request
            elif kind == "result":
                found = await store.runs.get(what[0].run_id)
                good = found.status is what[0].status and found.output == what[0].output
            elif kind == "event":
                stored = await store.events.list_events_by_run(what[0].run_id)
                good = what[0].event_id in {event.event_id for event in stored}
            else:
                good = await is_stored_frame(store, *what)
            if not good:
                lies.append((kind, *what))
    return lies


async def is_stored_frame(store, run_id, frame):
    if frame.event == "end":
        return (await store.runs.get(run_id)).status is RunStatus(frame.data["status"])
    stored = await store.events.list_frames(run_id, after=int(frame.id) - 1, limit=1)
    return [(e.event_type, e.content) for e in stored] == [(frame.event, frame.data)]


@pytest.mark.parametrize("lost_answer", [False, True], ids=["not written", "answer lost"])
@pytest.mark.parametrize("after", range(MOST_WRITES))
def test_whatever_was_told_is_in_the_store(tmp_path, after, lost_answer):
    url = url_of(tmp_path)

    told, _ = asyncio.run(cut_life(url, after, lost_answer))

    assert asyncio.run(missing(url, told)) == []


def test_the_cuts_reach_from_the_first_write_to_beyond_the_last(tmp_path):
    def life(after):
        return asyncio.run(cut_life(url_of(tmp_path, f"{after}.db"), after, lost_answer=False))

    told, was_cut = life(0)
    assert (told, was_cut) == ([], True)
    told, was_cut = life(MOST_WRITES * 3)
    assert was_cut is False
    assert [kind for kind, *_ in told].count("result") == 2
