"""Streams: their events, their order, and clients that go away and come back."""

import json

import pytest

from tests.executors.graphs import Gate
from tests.server.house import collect, events, gated, raw_request, serving, story, until

IN = {"path": ["in"]}
HUMAN = {"messages": [{"role": "user", "content": "hi"}]}


@story
async def test_metadata_comes_first_and_the_end_last():
    async with serving() as served:
        thread_id = (await served.client.threads.create())["thread_id"]

        parts = await collect(served.client.runs.stream(thread_id, "steps", input=IN))

        (run,) = await served.client.runs.list(thread_id)
        assert events(parts) == ["metadata", "values", "values", "values", "end"]
        assert parts[0].data["run_id"] == run["run_id"]
        assert parts[0].data["attempt"] == 1
        assert [part.data for part in parts[1:4]] == [
            IN,
            {"path": ["in", "a"]},
            {"path": ["in", "a", "b"]},
        ]


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        ("updates", {"updates"}),
        (["values", "updates"], {"values", "updates"}),
        ("messages", {"messages/metadata", "messages/partial"}),
        ("messages-tuple", {"messages"}),
        (["messages", "messages-tuple"], {"messages/metadata", "messages/partial", "messages"}),
        ("events", {"events"}),
        ("debug", {"debug"}),
        ("tasks", {"tasks"}),
        ("checkpoints", {"checkpoints"}),
    ],
)
@story
async def test_a_stream_has_the_modes_that_were_asked_for(mode, wanted):
    async with serving() as served:
        stream = served.client.runs.stream(None, "chat", input=HUMAN, stream_mode=mode)

        assert set(events(await collect(stream))) == {"metadata", "end", *wanted}


@story
async def test_subgraphs_stream_under_their_names():
    from tests.executors.graphs import nested

    async with serving({"nested": nested()}) as served:
        stream = served.client.runs.stream(
            None, "nested", input={"path": []}, stream_mode="updates", stream_subgraphs=True
        )

        assert any(name.startswith("updates|inner:") for name in events(await collect(stream)))


@story
async def test_a_failure_is_the_last_but_one_event():
    async with serving() as served:
        parts = await collect(served.client.runs.stream(None, "failing"))

        assert events(parts) == ["metadata", "error", "end"]
        assert parts[1].data == {"error": "ValueError", "message": "kaput"}


@story
async def test_a_question_is_among_the_values():
    async with serving() as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        stream = served.client.runs.stream(thread_id, "approval", input={"path": []}, version="v2")

        parts = await collect(stream)

        assert parts[-1]["type"] == "values"
        assert parts[-1]["interrupts"][0]["value"] == "go on?"


@story
async def test_only_resumable_streams_have_ids_and_those_rise():
    async with serving() as served:
        plain = await collect(served.client.runs.stream(None, "steps", input=IN))
        kept = await collect(
            served.client.runs.stream(None, "steps", input=IN, stream_resumable=True)
        )

        assert {part.id for part in plain} == {None}
        numbers = [int(part.id) for part in kept]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("seen", ["-1", "1", "3", "5"])
@story
async def test_a_client_that_comes_back_gets_what_it_has_not_seen_and_nothing_twice(seen):
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        first = await collect(runs.stream(thread_id, "steps", input=IN, stream_resumable=True))
        run_id = first[0].data["run_id"]

        again = await collect(runs.join_stream(thread_id, run_id, last_event_id=seen))

        assert [(p.id, p.event, p.data) for p in again] == [
            (p.id, p.event, p.data) for p in first if int(p.id) > int(seen)
        ]


@story
async def test_who_joins_first_gets_all_and_who_joins_later_what_is_new():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await runs.create(thread_id, "slow", input=IN, stream_mode="updates")
        await gate.entered.wait()

        first = runs.join_stream(thread_id, run["run_id"])
        assert events(await until(first, "updates")) == ["metadata", "updates"]
        path = f"/threads/{thread_id}/runs/{run['run_id']}/stream"
        async with served.http.stream("GET", path) as second:
            gate.open.set()
            told = [line async for line in second.aiter_lines() if line.startswith("event")]

        assert told == ["event: updates", "event: updates", "event: end"]
        assert events(await collect(first)) == ["updates", "updates", "end"]


@pytest.mark.parametrize(
    ("modes", "wanted"),
    [("updates", {"updates"}), (["updates", "values"], {"updates", "values"}), (None, None)],
)
@story
async def test_a_joined_stream_has_the_modes_that_are_asked_for(modes, wanted):
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        asked = ["values", "updates", "tasks"]
        run = await runs.create(thread_id, "steps", input=IN, stream_mode=asked)

        parts = await collect(runs.join_stream(thread_id, run["run_id"], stream_mode=modes))

        assert set(events(parts)) == {"metadata", "end", *(wanted or asked)}


@story
async def test_the_frames_on_the_wire_are_those_that_browsers_read():
    async with serving() as served:
        body = {"assistant_id": "echo", "input": "ü\n", "stream_resumable": True}
        answer = await served.http.post("/runs/stream", json=body)

        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        run_id = answer.headers["content-location"].removeprefix("/runs/")
        assert answer.headers["location"].endswith(f"/runs/{run_id}/stream")
        frames = answer.text.split("\r\n\r\n")
        data = json.dumps({"said": "ü\n", "user": None}, separators=(",", ":"))
        assert json.loads(frames[1].split("\r\n")[1].removeprefix("data: ")) == json.loads(data)
        assert frames[1].split("\r\n")[2] == "id: 2"
        assert frames[2:] == ['event: end\r\ndata: {"status":"success"}\r\nid: 3', ""]


@story
async def test_a_silent_stream_and_a_silent_wait_show_that_they_live(monkeypatch):
    monkeypatch.setattr("callboard.server.live.KEEP_ALIVE", 0.02)
    monkeypatch.setattr("callboard.server.sse.KEEP_ALIVE", 0.02)
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        body = {"assistant_id": "slow", "input": IN}
        beats = {"/runs/stream": b": heartbeat\r\n\r\n", "/runs/wait": b"\n"}
        for path, beat in beats.items():
            async with served.http.stream("POST", path, json=body) as answer:
                pieces = answer.aiter_raw()
                while not (await anext(pieces)).endswith(beat):
                    pass
        gate.open.set()


@pytest.mark.parametrize(("mode", "status"), [("cancel", "interrupted"), ("continue", "success")])
@pytest.mark.parametrize("path", ["stream", "wait"])
@story
async def test_a_client_that_vanishes_takes_its_run_along_or_not(path, mode, status):
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        body = json.dumps({"assistant_id": "slow", "input": IN, "on_disconnect": mode})
        connection = raw_request(
            served.port,
            f"POST /threads/{thread_id}/runs/{path} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}",
        )
        await gate.entered.wait()
        (run,) = await served.client.runs.list(thread_id)

        connection.close()
        if mode == "continue":
            gate.open.set()
        await served.client.runs.join(thread_id, run["run_id"])

        assert (await served.client.runs.list(thread_id))[0]["status"] == status


@story
async def test_who_joins_can_take_the_run_along_as_well():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await served.client.runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()
        stream = served.client.runs.join_stream(thread_id, run["run_id"], cancel_on_disconnect=True)
        await until(stream, "values")
        await stream.aclose()

        await served.client.runs.join(thread_id, run["run_id"])

        status = (await served.client.runs.get(thread_id, run["run_id"]))["status"]
        assert status == "interrupted"


@story
async def test_an_aborted_run_closes_its_stream_without_an_error():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        stream = served.client.runs.stream(thread_id, "slow", input=IN)
        started = await until(stream, "values")
        await gate.entered.wait()

        await served.client.runs.cancel(thread_id, started[0].data["run_id"])

        assert events(await collect(stream))[-1] == "end"


@story
async def test_a_slow_client_delays_nobody_and_gets_every_frame_of_a_resumable_run():
    count = 3000

    async def talks(run):
        for number in range(count):
            yield "custom", {"number": number, "text": "x" * 400}

    async with serving({"talks": talks}) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        body = {"assistant_id": "talks", "stream_resumable": True}
        path = f"/threads/{thread_id}/runs/stream"
        async with served.http.stream("POST", path, json=body) as slow:
            (run,) = await served.client.runs.list(thread_id)
            await served.client.runs.join(thread_id, run["run_id"])  # the run has not waited
            text = b"".join([piece async for piece in slow.aiter_raw()])

        assert text.count(b"event: custom") == count
        assert b"gap" not in text


@story
async def test_a_page_of_this_machine_may_read_where_a_stream_goes_on():
    async with serving() as served:
        headers = {"Origin": "http://localhost:3000"}
        body = {"assistant_id": "echo"}
        answer = await served.http.post("/runs/stream", json=body, headers=headers)
        asks = {
            **headers,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,last-event-id,x-api-key",
        }
        preflight = await served.http.options("/runs/stream", headers=asks)

        assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "Content-Location" in answer.headers["access-control-expose-headers"]
        assert preflight.status_code == 200
        assert "last-event-id" in preflight.headers["access-control-allow-headers"].lower()
        stranger = {"Origin": "https://example.org"}
        answer = await served.http.post("/runs/stream", json=body, headers=stranger)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


@story
async def test_a_last_event_id_that_is_none_is_refused_in_the_stream_it_opens():
    async with serving() as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await served.client.runs.create(thread_id, "echo")
        path = f"/threads/{thread_id}/runs/{run['run_id']}/stream"

        answer = await served.http.get(path, headers={"Last-Event-ID": "soon"})

        assert answer.status_code == 422
        assert "last_event_id" in answer.json()["detail"]
