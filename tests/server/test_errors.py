"""What is a client's mistake is answered with its status and the field, never with a 500."""

import json

import pytest

from callboard import Runtime
from callboard.domain.errors import ActorCrashed, RuntimeClosed
from callboard.domain.store_errors import OutcomeUnknown, StoreUnavailable
from callboard.server import Limits
from callboard.server.errors import answer_for
from tests.executors.graphs import Gate
from tests.server.house import AGENTS, gated, serving, story

ID = "11111111-1111-1111-1111-111111111111"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "assistant_id"),
        ({"assistant_id": 3}, "assistant_id"),
        ({"assistant_id": "steps", "multitask_strategy": "maybe"}, "multitask_strategy"),
        ({"assistant_id": "steps", "stream_mode": ["values", "lifecycle"]}, "stream_mode"),
        ({"assistant_id": "steps", "after_seconds": "soon"}, "after_seconds"),
        ({"assistant_id": "steps", "config": [1]}, "config"),
        ({"assistant_id": "steps", "config": {"tags": "x"}}, "config.tags"),
        ({"assistant_id": "steps", "config": {"recursion_limit": 0}}, "config.recursion_limit"),
        ({"assistant_id": "steps", "command": {"goto": 3}}, "command.goto"),
        ({"assistant_id": "steps", "command": {"goto": {"node": "a"}}}, "command.goto"),
        ({"assistant_id": "steps", "command": {"update": 5}}, "command.update"),
        ({"assistant_id": "echo", "command": {"update": [["a"]]}}, "command.update"),
        ({"assistant_id": "echo", "command": {"goto": ["a", ""]}}, "command.goto"),
        ({"assistant_id": "steps", "stream_mode": "tools"}, "stream_mode"),
        ({"assistant_id": "steps", "command": "go"}, "command"),
        ({"assistant_id": "steps", "interrupt_before": [1]}, "interrupt_before"),
        ({"assistant_id": "steps", "webhook": "/relative"}, "webhook"),
        ({"assistant_id": "steps", "webhook": "http://127.0.0.1/x"}, "webhook"),
        ({"assistant_id": "steps", "webhook": "http://localhost:1/x"}, "webhook"),
        ({"assistant_id": "steps", "input": "\ud800"}, "input"),
    ],
)
@pytest.mark.parametrize("path", ["runs", "runs/stream", "runs/wait"])
@story
async def test_a_field_that_cannot_be_used_is_named(path, body, field):
    async with serving() as served:
        await served.client.threads.create(thread_id=ID)

        answer = await served.http.post(f"/threads/{ID}/{path}", content=json.dumps(body))

        assert answer.status_code == 422, answer.text
        assert field in answer.json()["detail"]
        assert await served.client.runs.list(ID) == []


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("POST", "/threads", "{", 422),
        ("POST", "/threads", "[1]", 422),
        ("POST", "/threads", "NaN", 422),
        ("POST", "/threads", "[" * 100_000, 422),
        ("POST", "/threads", '{"metadata": {"a": "\\u0000"}}', 422),
        ("POST", "/threads", '{"thread_id": "me"}', 422),
        ("POST", "/threads", '{"ttl": 5}', 422),
        ("POST", "/threads/search", '{"limit": 0}', 422),
        ("POST", "/threads/search", '{"limit": 1001}', 422),
        ("POST", "/threads/search", '{"offset": -1}', 422),
        ("POST", "/threads/search", '{"offset": null}', 422),
        ("POST", "/threads/search", '{"status": "sad"}', 422),
        ("POST", "/threads/search", '{"ids": ["x"]}', 422),
        ("GET", "/threads/me", "", 422),
        ("GET", f"/threads/{ID}/runs/me", "", 422),
        ("GET", f"/threads/{ID}/runs?limit=many", "", 422),
        ("GET", f"/threads/{ID}/runs?status=sad", "", 422),
        ("GET", f"/threads/{ID}/runs/{ID}/stream?stream_mode=[1]", "", 422),
        ("POST", f"/threads/{ID}/runs/{ID}/cancel?wait=perhaps", "", 422),
        ("POST", f"/threads/{ID}/runs/{ID}/cancel?action=explode", "", 422),
        ("POST", "/runs/cancel", "{}", 422),
        ("GET", f"/threads/{ID}", "", 404),
        ("GET", f"/threads/{ID}/runs", "", 404),
        ("GET", f"/threads/{ID}/state", "", 404),
        ("GET", "/nowhere", "", 404),
        ("PUT", "/threads", "", 405),
    ],
)
@story
async def test_every_mistake_has_its_status_and_says_what_is_wrong(method, path, content, status):
    async with serving() as served:
        answer = await served.http.request(method, path, content=content)

        assert answer.status_code == status, answer.text
        assert isinstance(answer.json()["detail"], str)


@story
async def test_contradictory_settings_are_refused():
    async with serving() as served:
        body = {
            "assistant_id": "steps",
            "context": {"a": 1},
            "config": {"configurable": {"b": 2}},
        }

        answer = await served.http.post("/runs", json=body)

        assert (answer.status_code, "not both" in answer.json()["detail"]) == (400, True)


@story
async def test_a_body_that_is_too_long_is_refused_announced_or_not():
    async def pieces():
        for _ in range(20):
            yield b" " * 100

    async with serving(limits=Limits(body_bytes=1000)) as served:
        for content in (b" " * 1001, pieces()):
            answer = await served.http.post("/threads", content=content)
            assert answer.status_code == 413
            assert answer.headers["retry-after"]
        assert (await served.http.post("/threads", content=b"{}")).status_code == 200


@story
async def test_a_client_with_too_many_connections_is_told_to_come_later():
    gate = Gate()
    async with serving(gated(slow=gate), limits=Limits(connections=2)) as served:
        path, body = "/runs/stream", {"assistant_id": "slow", "input": {"path": []}}
        async with (
            served.http.stream("POST", path, json=body),
            served.http.stream("POST", path, json=body),
        ):
            refused = await served.http.post("/runs/wait", json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert (await served.http.get("/threads/" + ID)).status_code == 404
            gate.open.set()
    assert served.app.state.service.connections.total == 0


@story
async def test_a_thread_with_too_many_runs_takes_no_more_for_now():
    gate = Gate()
    runtime = Runtime(gated(slow=gate), max_queued_runs=1, drain_timeout=0.0)
    async with serving(runtime=runtime) as served:
        await served.client.threads.create(thread_id=ID)
        body = {"assistant_id": "slow", "input": {"path": []}}
        codes = [
            (await served.http.post(f"/threads/{ID}/runs", json=body)).status_code for _ in range(3)
        ]

        assert codes == [200, 200, 429]


@story
async def test_a_server_that_is_closing_says_when_to_come_back():
    async with serving() as served:
        await served.runtime.drain(0.0)

        answer = await served.http.post("/runs", json={"assistant_id": "steps"})

        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreUnavailable("run 'r'", "disk full"), "nothing was done, try again"),
        (OutcomeUnknown("run 'r'", "disk full"), "see what is there before you try again"),
        (ActorCrashed("thread 't'", "disk full"), "see what is there before you try again"),
        (RuntimeClosed("closing", "create the run on another runtime"), "closing: try again"),
    ],
)
def test_what_is_not_available_is_told_in_words_for_clients(error, told):
    answer = answer_for(error)

    detail = json.loads(answer.body)["detail"]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert told in detail
    assert "run_id" not in detail
    assert "idempotency_key" not in detail


def test_agents_are_made_anew_for_each_server():
    assert AGENTS()["steps"] is not AGENTS()["steps"]
