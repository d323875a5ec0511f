"""The dashboard: what it is drawn from, and who may see it."""

import pytest

from tests.executors.graphs import Gate
from tests.server.house import gated, serving, story
from tests.server.test_auth import by_key

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@story
async def test_the_page_needs_nothing_from_elsewhere():
    async with serving() as served:
        page = (await served.http.get("/")).text

        assert "<title>callboard</title>" in page
        assert "http://" not in page
        assert "https://" not in page


@story
async def test_the_tree_shows_threads_with_their_runs_and_a_runs_events():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await served.client.runs.create(thread_id, "slow", input={"path": []})
        queued = await served.client.runs.create(thread_id, "slow", input={"path": []})
        await gate.entered.wait()

        shown = (await served.http.get("/callboard/tree")).json()
        events = (await served.http.get(f"/callboard/runs/{run['run_id']}/events")).json()

        (thread,) = shown["tree"]["threads"]
        assert (thread["thread_id"], thread["status"]) == (thread_id, "busy")
        assert [(each["run_id"], each["status"]) for each in thread["runs"]] == [
            (run["run_id"], "running"),
            (queued["run_id"], "pending"),
        ]
        assert shown["health"]["ok"] is True
        assert [event["event_type"] for event in events][:2] == [
            "run_created",
            "thread_status_updated",
        ]
        gate.open.set()


@pytest.mark.parametrize(("action", "status"), [("restart", "success"), ("fail", "error")])
@story
async def test_a_run_is_restarted_or_failed(action, status):
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await served.client.runs.create(thread_id, "slow", input={"path": []})
        await gate.entered.wait()
        path = f"/callboard/runs/{run['run_id']}/{action}"

        assert (await served.http.post(path)).status_code == 202
        gate.open.set()
        await served.client.runs.join(thread_id, run["run_id"])

        kept = await served.runtime.get_run(run["run_id"])
        assert kept.status == status
        assert kept.attempt == (2 if action == "restart" else 1)
        assert (await served.http.post(path)).status_code == 409


@pytest.mark.parametrize(("key", "status"), [("ann's key", 200), ("bob's key", 403), ("", 401)])
@story
async def test_where_users_are_known_operators_alone_may_look(key, status):
    async with serving(authenticate=by_key, operators=["ann"]) as served:
        answer = await served.http.get("/callboard/tree", headers={"X-Api-Key": key})

        assert answer.status_code == status


@story
async def test_events_of_an_unknown_run_are_not_found():
    async with serving() as served:
        answer = await served.http.get(f"/callboard/runs/{UNKNOWN}/events")

        assert answer.status_code == 404
