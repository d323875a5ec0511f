"""The dashboard: what it is drawn from, and who may see it."""

import pytest

from callboard import InvalidValue, Runtime
from callboard.server import callboard_app
from tests.executors.graphs import Gate
from tests.server.house import failing, gated, serving, story
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


@story
async def test_the_page_runs_its_own_script_and_is_shown_within_no_other_page():
    async with serving() as served:
        headers = (await served.http.get("/")).headers

        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "script-src 'sha256-" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


@story
async def test_of_many_threads_the_busy_ones_are_shown_first_and_others_are_found():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        for name in ("idle-1", "idle-2", "idle-3"):
            await served.runtime.create_run(name, "slow", input={"path": []}, run_id=f"of {name}")
            await served.runtime.cancel(f"of {name}", wait=True)
        await served.runtime.create_run("busy", "slow", input={"path": []})

        async def shown(**query):
            answer = (await served.http.get("/callboard/tree", params=query)).json()
            return [each["thread_id"] for each in answer["tree"]["threads"]], answer

        first, answer = await shown(limit=1)
        assert first == ["busy"]
        assert (answer["found"], answer["threads"], answer["running"]) == (4, 4, 1)
        assert (await shown(find="IDLE-2"))[0] == ["idle-2"]
        assert (await shown(find="slow"))[0] == ["busy"]
        assert (await served.http.get("/callboard/tree?limit=0")).status_code == 422


@pytest.mark.parametrize(
    ("action", "status"), [("restart", "success"), ("fail", "error"), ("abort", "interrupted")]
)
@story
async def test_a_run_is_restarted_failed_or_aborted(action, status):
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


def test_one_text_is_no_list_of_operators():
    with pytest.raises(InvalidValue, match="operators is 'annabel': give a list"):
        callboard_app(Runtime(), operators="annabel")


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


@story
async def test_a_runs_end_is_listed_behind_any_number_of_frames():
    async with serving({"talks": talks}) as served:
        run = await served.runtime.create_run("a thread", "talks", resumable=True)
        await served.runtime.wait(run.run_id)
        path = f"/callboard/runs/{run.run_id}/events"

        events = (await served.http.get(path)).json()
        later = (await served.http.get(path, params={"after": events[1]["seq"]})).json()

        assert "run_completed" in [event["event_type"] for event in events]
        assert later == events[2:]


@story
async def test_a_run_is_described_as_it_is_recorded_and_listed_with_its_thread():
    async with serving({"failing": failing}) as served:
        run = await served.runtime.create_run("team/1", "failing", run_id="its own id")
        await served.runtime.wait(run.run_id)

        shown = (await served.http.get("/callboard/runs/its own id")).json()
        listed = (await served.http.get("/callboard/runs", params={"thread_id": "team/1"})).json()

        assert (shown["thread_id"], shown["status"], shown["attempt"]) == ("team/1", "error", 1)
        assert shown["error"] == "ValueError: kaput"
        assert listed == [shown]


@story
async def test_who_watches_a_run_is_no_consumer_whose_leaving_ends_it():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        asked = {"input": {"path": []}, "on_disconnect": "cancel"}
        run = await served.runtime.create_run("a thread", "slow", **asked)
        async with served.http.stream("GET", f"/callboard/runs/{run.run_id}/stream") as answer:
            assert "event: metadata" in await anext(answer.aiter_text())
        while served.app.state.service.connections.total:
            await served.http.get("/ok")  # until the server has noticed
        tree = (await served.http.get("/callboard/tree")).json()["tree"]
        gate.open.set()

        assert tree["threads"][0]["runs"][0]["abort"] is None
        assert (await served.runtime.wait(run.run_id)).status == "success"


@story
async def test_an_operator_watches_and_aborts_the_runs_of_all_users():
    gate, ann = Gate(), {"X-Api-Key": "ann's key"}
    async with serving(gated(slow=gate), authenticate=by_key, operators=["ann"]) as served:
        run = await served.runtime.create_run("a thread", "slow", input={}, user_id="bob")
        path = f"/callboard/runs/{run.run_id}"
        async with served.http.stream("GET", f"{path}/stream", headers=ann) as answer:
            assert "event: metadata" in await anext(answer.aiter_text())

        for action in ("stream", "events"):
            answer = await served.http.get(f"{path}/{action}", headers={"X-Api-Key": "bob's key"})
            assert answer.status_code == 403
        assert (await served.http.post(f"{path}/abort", headers=ann)).status_code == 202
        assert (await served.runtime.wait(run.run_id)).status == "interrupted"


async def talks(run):
    for number in range(300):
        yield "custom", number
