"""Runs without a thread of their own choosing."""

import asyncio
import json

import pytest
from langgraph_sdk.errors import BadRequestError, NotFoundError

from tests.executors.graphs import Gate
from tests.server.house import collect, gated, serving, story

IN = {"path": ["in"]}


@story
async def test_a_stateless_run_leaves_nothing_behind():
    async with serving() as served:
        client = served.client

        assert await client.runs.wait(None, "steps", input=IN) == {"path": ["in", "a", "b"]}
        parts = await collect(client.runs.stream(None, "steps", input=IN))
        await client.runs.wait(None, "failing", raise_error=False)

        assert parts[-2].data == {"path": ["in", "a", "b"]}
        assert await client.threads.search() == []


@story
async def test_a_stateless_run_can_keep_its_thread():
    async with serving() as served:
        seen = []
        await served.client.runs.wait(
            None, "steps", input=IN, on_completion="keep", on_run_created=seen.append
        )

        (thread,) = await served.client.threads.search()
        assert seen[0]["thread_id"] == thread["thread_id"]
        assert thread["values"] == {"path": ["in", "a", "b"]}


@story
async def test_a_stateless_run_is_followed_while_it_lasts_and_a_moment_longer():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        run = await runs.create(None, "slow", input=IN, stream_resumable=True)
        place = (run["thread_id"], run["run_id"])
        await gate.entered.wait()
        assert (await runs.get(*place))["status"] == "running"
        joining = asyncio.create_task(runs.join(*place))
        gate.open.set()

        end = {"path": ["in", "a", "gated", "b"]}
        assert await joining == end
        assert await runs.join(*place) == end  # whose connection broke asks again
        again = await collect(runs.join_stream(*place, last_event_id="-1"))
        assert [part.event for part in again][-1] == "end"
        with pytest.raises(NotFoundError):
            await runs.get(*place)


@story
async def test_a_batch_makes_a_run_each():
    async with serving() as served:
        payloads = [{"assistant_id": "steps", "input": {"path": [str(n)]}} for n in range(3)]

        made = await served.client.runs.create_batch(payloads)

        assert len({run["thread_id"] for run in made}) == 3
        assert [run["kwargs"]["input"]["path"] for run in made] == [["0"], ["1"], ["2"]]


@story
async def test_a_batch_with_a_fault_makes_no_run_at_all():
    async with serving() as served:
        bad = [{"assistant_id": "steps", "on_completion": "keep"}, {"assistant_id": "nobody"}]

        for payloads in (bad, [], [{"input": 1}], {"assistant_id": "steps"}):
            answer = await served.http.post("/runs/batch", content=json.dumps(payloads))
            assert answer.status_code == 422, payloads

        assert await served.client.threads.count() == 0


@story
async def test_nothing_can_be_resumed_without_a_thread():
    async with serving() as served:
        with pytest.raises(BadRequestError, match="thread"):
            await served.client.runs.create(None, "approval", command={"resume": "yes"})
