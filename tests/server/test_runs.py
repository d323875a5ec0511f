"""Runs on a thread, by the platform's own client."""

import asyncio

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from tests.executors.graphs import Gate
from tests.server.house import collect, gated, serving, story, until

UNKNOWN = "00000000-0000-0000-0000-000000000000"
IN = {"path": ["in"]}


@story
async def test_a_run_is_created_joined_and_read():
    async with serving() as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]
        seen = []

        run = await runs.create(
            thread_id,
            "steps",
            input=IN,
            metadata={"n": 1},
            config={"tags": ["x"], "configurable": {"model": "m"}},
            on_run_created=seen.append,
        )

        assert seen == [{"run_id": run["run_id"], "thread_id": thread_id}]
        assert (run["status"], run["multitask_strategy"]) == ("pending", "enqueue")
        assert await runs.join(thread_id, run["run_id"]) == {"path": ["in", "a", "b"]}
        again = await runs.get(thread_id, run["run_id"])
        assert again["status"] == "success"
        assert again["metadata"]["n"] == 1
        assert again["metadata"]["graph_id"] == "steps"
        assert again["kwargs"]["input"] == IN
        assert again["kwargs"]["stream_mode"] == ["values"]
        assert again["kwargs"]["config"]["configurable"]["model"] == "m"
        assert (await threads.get(thread_id))["status"] == "idle"


@story
async def test_wait_answers_the_values_and_the_next_run_goes_on_from_them():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        first = await runs.wait(thread_id, "steps", input=IN)
        second = await runs.wait(thread_id, "steps", input={"path": ["again"]})

        assert first == {"path": ["in", "a", "b"]}
        assert second == {"path": ["in", "a", "b", "again", "a", "b"]}


@story
async def test_a_failed_run_is_told_as_an_error_and_leaves_its_thread_in_error():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        with pytest.raises(Exception, match="ValueError: kaput"):
            await runs.wait(thread_id, "failing")
        answer = await runs.wait(thread_id, "failing", raise_error=False)

        assert answer == {"__error__": {"error": "ValueError", "message": "kaput"}}
        thread = await served.client.threads.get(thread_id)
        assert thread["status"] == "error"
        assert thread["error"] == {"error": "ValueError", "message": "kaput"}
        (last, _) = await runs.list(thread_id)
        assert await runs.join(thread_id, last["run_id"]) == answer


@story
async def test_runs_are_listed_newest_first_by_page_status_and_field():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        for _ in range(3):
            await runs.wait(thread_id, "steps", input=IN)
        await runs.wait(thread_id, "failing", raise_error=False)

        listed = await runs.list(thread_id)
        assert [run["status"] for run in listed] == ["error", *["success"] * 3]
        assert await runs.list(thread_id, limit=2, offset=1) == listed[1:3]
        assert await runs.list(thread_id, status="error") == listed[:1]
        assert await runs.list(thread_id, limit=1, select=["run_id", "status"]) == [
            {"run_id": listed[0]["run_id"], "status": "error"}
        ]


@story
async def test_a_run_on_an_unknown_thread_is_refused_or_makes_it():
    async with serving() as served:
        runs = served.client.runs

        with pytest.raises(NotFoundError):
            await runs.create(UNKNOWN, "steps", input=IN)
        made = await runs.create(UNKNOWN, "steps", input=IN, if_not_exists="create")

        assert made["thread_id"] == UNKNOWN
        assert (await served.client.threads.get(UNKNOWN))["metadata"]["graph_id"] == "steps"


@story
async def test_an_unknown_assistant_is_not_found_by_id_and_invalid_by_name():
    async with serving() as served:
        thread_id = (await served.client.threads.create())["thread_id"]

        with pytest.raises(NotFoundError):
            await served.client.runs.create(thread_id, UNKNOWN)
        with pytest.raises(UnprocessableEntityError, match="assistant_id"):
            await served.client.runs.create(thread_id, "nobody")


@story
async def test_an_unknown_run_is_not_found_wherever_it_is_asked_for():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        for call in (runs.get, runs.delete, runs.cancel):
            with pytest.raises(NotFoundError):
                await call(thread_id, UNKNOWN)
        for path in ("join", "stream"):
            answer = await served.http.get(f"/threads/{thread_id}/runs/{UNKNOWN}/{path}")
            assert answer.status_code == 404
        with pytest.raises(httpx.HTTPStatusError):
            await runs.cancel(thread_id, UNKNOWN, wait=True)


@story
async def test_a_delayed_run_is_in_flight_and_can_be_cancelled_before_it_starts():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        later = await runs.create(thread_id, "steps", input=IN, after_seconds=3600)
        assert (await served.client.threads.get(thread_id))["status"] == "busy"
        now = await runs.wait(thread_id, "steps", input=IN)
        await runs.cancel(thread_id, later["run_id"], wait=True)

        assert now == {"path": ["in", "a", "b"]}
        assert (await runs.get(thread_id, later["run_id"]))["status"] == "interrupted"
        assert (await served.client.threads.get(thread_id))["status"] == "idle"


@story
async def test_cancel_answers_when_the_agent_has_stopped_and_not_before():
    gate = Gate()
    gate.may_unwind.clear()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()

        cancelling = asyncio.create_task(runs.cancel(thread_id, run["run_id"], wait=True))
        await gate.unwinding.wait()
        assert (await runs.get(thread_id, run["run_id"]))["status"] == "running"
        assert not cancelling.done()
        gate.may_unwind.set()

        assert await cancelling == {"path": ["in", "a"]}
        assert gate.unwound
        cancelled = await runs.get(thread_id, run["run_id"])
        assert (cancelled["status"], cancelled["cancel_reason"]) == (
            "interrupted",
            "cancelled on request",
        )


@story
async def test_a_cancelled_thread_is_idle_and_takes_the_next_message():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]
        run = await runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()
        await runs.cancel(thread_id, run["run_id"], wait=True)

        assert (await threads.get(thread_id))["status"] == "idle"
        state = await threads.get_state(thread_id)
        assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
        with pytest.raises(NotFoundError, match="ended already"):
            await runs.cancel(thread_id, run["run_id"])

        gate.open.set()
        after = await runs.wait(thread_id, "slow", input={"path": ["next"]})
        assert after == {"path": ["in", "a", "next", "a", "gated", "b"]}


@story
async def test_a_run_cancelled_with_rollback_is_gone_and_its_thread_as_before():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]
        run = await runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()
        waiting = asyncio.create_task(runs.join(thread_id, run["run_id"]))

        await runs.cancel(thread_id, run["run_id"], action="rollback", wait=True)

        await waiting
        with pytest.raises(NotFoundError):
            await runs.get(thread_id, run["run_id"])
        assert await runs.list(thread_id) == []
        thread = await threads.get(thread_id)
        assert (thread["status"], thread["values"]) == ("idle", None)


@story
async def test_cancel_does_not_wait_unless_it_is_asked_to():
    gate = Gate()
    gate.may_unwind.clear()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await served.client.runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()

        answer = await served.http.post(f"/threads/{thread_id}/runs/{run['run_id']}/cancel")

        assert (answer.status_code, answer.content) == (202, b"")
        assert not gate.unwound
        gate.may_unwind.set()
        await served.client.runs.join(thread_id, run["run_id"])


@story
async def test_many_runs_are_cancelled_by_thread_by_id_or_by_status():
    gates = {"one": Gate(), "two": Gate()}
    async with serving(gated(**gates)) as served:
        runs, threads = served.client.runs, served.client.threads
        first, second = [(await threads.create())["thread_id"] for _ in range(2)]
        running = await runs.create(first, "one", input=IN)
        queued = await runs.create(first, "one", input=IN)
        other = await runs.create(second, "two", input=IN)
        await gates["one"].entered.wait()
        await gates["two"].entered.wait()

        await runs.cancel_many(thread_id=first, run_ids=[queued["run_id"]])
        assert (await runs.get(first, queued["run_id"]))["status"] == "interrupted"
        await runs.cancel_many(status="running")
        for thread_id, run in ((first, running), (second, other)):
            await runs.join(thread_id, run["run_id"])
            assert (await runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
        with pytest.raises(NotFoundError):
            await runs.cancel_many(status="all")
        with pytest.raises(UnprocessableEntityError):
            await runs.cancel_many(thread_id=first, status="all")


@story
async def test_deleting_a_run_in_flight_stops_its_agent_first():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        run = await runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()

        await runs.delete(thread_id, run["run_id"])

        assert gate.unwound
        with pytest.raises(NotFoundError):
            await runs.get(thread_id, run["run_id"])
        assert (await served.client.threads.get(thread_id))["status"] == "idle"


@story
async def test_an_ended_run_is_deleted():
    async with serving() as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        await runs.wait(thread_id, "steps", input=IN)
        ((run),) = await runs.list(thread_id)

        await runs.delete(thread_id, run["run_id"])

        assert await runs.list(thread_id) == []


@story
async def test_reject_is_a_conflict_and_of_ten_at_once_one_is_accepted():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]

        async def attempt():
            try:
                await runs.create(thread_id, "slow", input=IN, multitask_strategy="reject")
            except ConflictError:
                return False
            return True

        accepted = await asyncio.gather(*(attempt() for _ in range(10)))

        assert sum(accepted) == 1
        assert len(await runs.list(thread_id)) == 1
        gate.open.set()


@story
async def test_enqueued_runs_follow_one_another():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        made = [await runs.create(thread_id, "slow", input={"path": [str(n)]}) for n in range(3)]
        await gate.entered.wait()
        assert [run["status"] for run in await runs.list(thread_id)] == [
            "pending",
            "pending",
            "running",
        ]
        gate.open.set()

        last = await runs.join(thread_id, made[-1]["run_id"])
        assert [step for step in last["path"] if step.isdigit()] == ["0", "1", "2"]


@story
async def test_an_interrupting_run_starts_when_the_other_agent_has_stopped():
    gate = Gate()
    gate.may_unwind.clear()
    async with serving({**gated(slow=gate), "echo": _echo}) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        slow = await runs.create(thread_id, "slow", input=IN)
        await gate.entered.wait()

        quick = await runs.create(thread_id, "echo", input=1, multitask_strategy="interrupt")
        await gate.unwinding.wait()
        assert (await runs.get(thread_id, quick["run_id"]))["status"] == "pending"
        assert (await runs.get(thread_id, slow["run_id"]))["status"] == "running"
        gate.may_unwind.set()

        assert await runs.join(thread_id, quick["run_id"]) == {"unwound": 1}
        old = await runs.get(thread_id, slow["run_id"])
        assert (old["status"], old["cancel_reason"]) == (
            "interrupted",
            "superseded by a newer run",
        )


async def _echo(run):
    return {"unwound": run.input}


@story
async def test_a_rolling_back_run_removes_what_was_in_flight():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        runs = served.client.runs
        thread_id = (await served.client.threads.create())["thread_id"]
        old = [await runs.create(thread_id, "slow", input=IN) for _ in range(2)]
        await gate.entered.wait()

        options = {"input": {"path": ["new"]}, "multitask_strategy": "rollback"}
        created = await runs.create(thread_id, "slow", **options)
        gate.open.set()  # not before: those in flight could end by themselves
        new = await runs.join(thread_id, created["run_id"])

        assert new["path"][0] in ("in", "new")
        listed = {run["run_id"] for run in await runs.list(thread_id)}
        assert old[1]["run_id"] not in listed


@story
async def test_a_question_is_answered_by_a_command():
    async with serving() as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]

        asked = await runs.wait(thread_id, "approval", input={"path": []})
        thread = await threads.get(thread_id)
        (run,) = await runs.list(thread_id)

        assert asked["path"] == ["prepared"]
        assert asked["__interrupt__"][0]["value"] == "go on?"
        assert (run["status"], thread["status"]) == ("success", "interrupted")
        ((question,),) = thread["interrupts"].values()
        assert question["value"] == "go on?"

        answered = await runs.wait(thread_id, "approval", command={"resume": "yes"})
        assert answered == {"path": ["prepared", "answer:yes", "acted"]}
        thread = await threads.get(thread_id)
        assert (thread["status"], thread["interrupts"]) == ("idle", {})


@story
async def test_a_graph_stops_where_it_is_told_to_and_goes_on_from_an_older_checkpoint():
    async with serving() as served:
        runs, threads = served.client.runs, served.client.threads
        thread_id = (await threads.create())["thread_id"]

        await runs.wait(thread_id, "steps", input=IN, interrupt_before=["b"])
        stopped = await threads.get_state(thread_id)
        assert stopped["next"] == ["b"]
        await runs.wait(thread_id, "steps", interrupt_after="*")
        assert (await threads.get_state(thread_id))["values"] == {"path": ["in", "a", "b"]}

        old = stopped["checkpoint"]["checkpoint_id"]
        again = await runs.wait(thread_id, "steps", checkpoint_id=old)
        assert again == {"path": ["in", "a", "b"]}
        newest = await threads.get_history(thread_id, limit=2)
        assert old in {state["parent_checkpoint"]["checkpoint_id"] for state in newest}


@story
async def test_a_stream_is_read_while_its_run_waits():
    gate = Gate()
    async with serving(gated(slow=gate)) as served:
        thread_id = (await served.client.threads.create())["thread_id"]
        stream = served.client.runs.stream(thread_id, "slow", input=IN, stream_mode="updates")

        parts = await until(stream, "updates")
        assert parts[-1].data == {"a": {"path": ["a"]}}
        gate.open.set()
        assert [part.event for part in await collect(stream)] == ["updates", "updates", "end"]
