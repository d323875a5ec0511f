"""Records of runs: put, get, find, list, delete."""

from dataclasses import replace

import pytest

from callboard.domain import MultitaskStrategy, RunUsage, StopReason
from callboard.store import CheckpointStore, EventLog, Overtaking, RunStore, Store
from tests.store.contract import (
    ERROR,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    TERMINAL,
    at,
    contract,
    event,
    finish,
    ids,
    move,
    put,
    run,
)


@contract
async def test_a_store_has_every_part_of_the_port(store):
    assert isinstance(store, Store)
    assert isinstance(store.runs, RunStore)
    assert isinstance(store.events, EventLog)
    assert isinstance(store.checkpoints, CheckpointStore)


@contract
async def test_opening_and_closing_twice_is_harmless(store):
    await store.open()
    await put(store, run())
    await store.open()

    assert await store.runs.get("r") == run()

    await store.close()


@contract
async def test_a_record_is_read_as_it_was_put(store):
    record = run(
        status=ERROR,
        user="ann",
        key="k",
        started_at=at(1),
        finished_at=at(2),
        attempt=3,
        error="kaput",
        output={"a": [1, "ü", None]},
        completion_data={"interrupts": []},
        title="Title",
        model_name="m",
        usage=RunUsage(total_tokens=5, tokens_by_model={"m": 5}, last_ai_message="hi"),
    )

    await put(store, record)

    assert await store.runs.get("r") == record


@contract
async def test_a_second_put_of_the_same_run_changes_nothing(store):
    await put(store, run(minute=0))

    assert not await store.runs.put(run(minute=5, thread_id="other"))
    assert await store.runs.get("r") == run(minute=0)
    assert await store.runs.list_by_thread("other") == []


@contract
async def test_a_put_with_a_key_that_is_taken_on_its_thread_changes_nothing(store):
    await put(store, run("r1", key="k"))

    assert not await store.runs.put(run("r2", key="k"))
    assert await store.runs.put(run("r3", "elsewhere", key="k"))
    assert await store.runs.get("r2") is None
    assert ids(await store.runs.list_by_thread("t")) == ["r1"]


@contract
async def test_a_run_is_found_by_its_key_on_its_thread_only(store):
    await put(store, run("r1", key="k"), run("r2"))
    await finish(store, "r1")

    assert (await store.runs.find_by_key("t", "k")).run_id == "r1"
    assert await store.runs.find_by_key("t", "K") is None
    assert await store.runs.find_by_key("elsewhere", "k") is None


@contract
async def test_the_key_of_a_deleted_run_is_free_again(store):
    await put(store, run("r1", key="k"), run("other"))
    await store.runs.delete("r1")

    assert await store.runs.find_by_key("t", "k") is None
    assert await store.runs.put(run("r2", key="k"))


@contract
async def test_what_is_not_there_is_none_or_false_and_never_an_error(store):
    assert await store.runs.get("r") is None
    assert await store.runs.find_by_key("t", "k") is None
    assert await store.runs.list_by_thread("t") == []
    assert await store.runs.update_status(move(PENDING, RUNNING)) is False
    assert await store.runs.update_model_name("r", "m") is False
    assert await store.runs.update_run_progress("r", RunUsage()) is False
    assert await store.runs.delete("r") is False
    assert await store.runs.list_inflight() == []


@contract
async def test_a_thread_lists_its_own_runs_newest_first(store):
    await put(store, run("r1", minute=1), run("x", "other", minute=2), run("r2", minute=3))

    assert ids(await store.runs.list_by_thread("t")) == ["r2", "r1"]


@contract
async def test_records_put_in_any_order_are_listed_by_age(store):
    await put(store, run("r3", minute=3), run("r1", minute=1), run("r2", minute=2))

    assert ids(await store.runs.list_by_thread("t")) == ["r3", "r2", "r1"]
    assert ids(await store.runs.list_inflight()) == ["r1", "r2", "r3"]


@contract
async def test_runs_of_the_same_age_are_listed_in_a_stable_order(store):
    await put(store, *(run(f"r{number}") for number in range(5)))

    assert ids(await store.runs.list_by_thread("t")) == ["r4", "r3", "r2", "r1", "r0"]
    assert ids(await store.runs.list_inflight()) == ["r0", "r1", "r2", "r3", "r4"]


@contract
async def test_limit_and_offset_cut_the_list_into_pages(store):
    await put(store, *(run(f"r{number}", minute=number) for number in range(5)))

    pages = [await store.runs.list_by_thread("t", limit=2, offset=offset) for offset in (0, 2, 4)]

    assert [ids(page) for page in pages] == [["r4", "r3"], ["r2", "r1"], ["r0"]]
    assert await store.runs.list_by_thread("t", offset=5) == []


@contract
async def test_a_status_narrows_the_list_before_it_is_cut(store):
    await put(store, *(run(f"r{number}", minute=number) for number in range(5)))
    for run_id in ("r1", "r3", "r4"):
        await finish(store, run_id)
    await store.runs.update_status(move(PENDING, RUNNING, "r2"))

    async def listed(status, **page):
        return ids(await store.runs.list_by_thread("t", status=status, **page))

    assert await listed(SUCCESS, limit=2) == ["r4", "r3"]
    assert await listed(SUCCESS, limit=2, offset=2) == ["r1"]
    assert await listed(PENDING) == ["r0"]
    assert await listed(RUNNING) == await listed("running") == ["r2"]
    assert await listed(ERROR) == []


@contract
async def test_pending_and_inflight_list_what_has_not_ended_oldest_first(store):
    await put(store, run("r1", minute=1), run("r2", "t2", minute=2), run("r3", minute=3))
    await put(store, run("done", minute=0, status=SUCCESS))
    await store.runs.update_status(move(PENDING, RUNNING, "r1"))

    assert ids(await store.runs.list_pending()) == ["r2", "r3"]
    assert ids(await store.runs.list_inflight()) == ["r1", "r2", "r3"]
    assert ids(await store.runs.list_pending(before=at(3))) == ["r2"]
    assert ids(await store.runs.list_inflight(before=at(2))) == ["r1"]


@contract
@pytest.mark.parametrize("target", TERMINAL)
async def test_a_run_that_ended_is_in_flight_no_longer(store, target):
    await put(store, run())
    await store.runs.update_status(move(PENDING, RUNNING))
    await store.runs.update_status(move(RUNNING, target))

    assert await store.runs.list_inflight() == []
    assert (await store.runs.load_thread("t")).in_flight == ()


@contract
async def test_a_thread_nobody_knows_loads_empty(store):
    record = await store.runs.load_thread("t")

    assert (record.owner, record.in_flight, record.last) == (None, (), None)


@contract
async def test_a_thread_loads_with_its_owner_its_queue_and_the_run_that_ended_last(store):
    await put(store, run("r1", user="ann"), run("r2", minute=1), run("r3", minute=2))
    await put(store, run("r4", minute=3, user="bob"))
    await finish(store, "r2", minute=10)
    await finish(store, "r1", ERROR, minute=11)

    record = await store.runs.load_thread("t")

    assert record.owner == "ann"
    assert ids(u.run for u in record.in_flight) == ["r3", "r4"]
    assert record.last == await store.runs.get("r1")


@contract
async def test_a_thread_loads_with_what_ended_though_it_came_later(store):
    runs = [run(f"r{number}", minute=number) for number in range(6)]
    runs[2] = replace(runs[2], request=replace(runs[2].request, multitask_strategy="rollback"))
    await put(store, *runs, run("elsewhere", "u", minute=3))
    for minute, run_id in enumerate(("r0", "r2", "elsewhere"), 10):
        await finish(store, run_id, ERROR, minute=minute)
    await finish(store, "r4", INTERRUPTED, minute=13, stop_reason=StopReason.WITHDRAWN)

    record = await store.runs.load_thread("t")

    assert ids(u.run for u in record.in_flight) == ["r1", "r3", "r5"]
    assert record.overtaking == (
        Overtaking(MultitaskStrategy.ROLLBACK, None, 1),
        Overtaking(runs[4].request.multitask_strategy, StopReason.WITHDRAWN, 2),
    )
    for run_id in ("r1", "r3", "r5"):
        await finish(store, run_id, minute=20)
    assert (await store.runs.load_thread("t")).overtaking == ()


@contract
async def test_the_last_run_is_the_one_that_ended_last_also_after_deletions(store):
    await put(store, *(run(f"r{number}") for number in range(3)))
    for minute, run_id in enumerate(("r2", "r0", "r1"), 1):
        await finish(store, run_id, INTERRUPTED, minute=minute)

    assert (await store.runs.load_thread("t")).last.run_id == "r1"
    await store.runs.delete("r1")
    assert (await store.runs.load_thread("t")).last.run_id == "r0"


@contract
async def test_a_deleted_run_is_gone_from_every_list(store):
    await put(store, run("r1"), run("r2"))
    await store.events.append([event(run_id="r1")])

    assert await store.runs.delete("r1")

    assert await store.runs.get("r1") is None
    assert ids(await store.runs.list_by_thread("t")) == ["r2"]
    assert ids(await store.runs.list_inflight()) == ["r2"]
    assert ids(u.run for u in (await store.runs.load_thread("t")).in_flight) == ["r2"]
    assert await store.events.list_events_by_run("r1") == []
    assert await store.runs.delete("r1") is False
