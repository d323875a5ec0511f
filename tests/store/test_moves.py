"""How a record changes: compare-and-set, completion, progress, the model's name."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import TRANSITIONS, CancelAction, RunStatus, RunUsage, StopReason
from callboard.store import RunCompletion
from tests.store.contract import (
    ERROR,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    TERMINAL,
    TIMEOUT,
    at,
    contract,
    finish,
    move,
    put,
    run,
)

USAGE = RunUsage(total_tokens=7, tokens_by_model={"m": 7})


@contract
@pytest.mark.parametrize(("now", "target"), list(product(RunStatus, RunStatus)))
async def test_a_record_moves_as_the_table_says_and_no_other_way(store, now, target):
    await put(store, run(status=now))
    allowed = target is now or target in TRANSITIONS[now]

    assert await store.runs.update_status(move(now, target)) is allowed

    record = await store.runs.get("r")
    assert record.status is (target if allowed else now)
    assert record.updated_at == at(1 if allowed else 0)


@contract
@pytest.mark.parametrize("now", list(RunStatus))
async def test_a_record_in_another_status_than_expected_does_not_move(store, now):
    before = run(status=now)
    await put(store, before)

    for expected, target in product(RunStatus, RunStatus):
        if expected is not now:
            assert not await store.runs.update_status(move(expected, target, error="late"))

    assert await store.runs.get("r") == before


@contract
async def test_a_start_is_noted_once_and_an_end_with_its_time(store):
    await put(store, run())
    await store.runs.update_status(move(PENDING, RUNNING, minute=1, attempt=1))
    await store.runs.update_status(move(RUNNING, RUNNING, minute=2, attempt=2))
    await store.runs.update_status(move(RUNNING, SUCCESS, minute=3))

    record = await store.runs.get("r")

    assert (record.started_at, record.finished_at, record.updated_at) == (at(1), at(3), at(3))
    assert record.attempt == 2


@contract
async def test_a_run_that_never_started_has_an_end_and_no_start(store):
    await put(store, run())
    await store.runs.update_status(move(PENDING, INTERRUPTED))

    record = await store.runs.get("r")

    assert (record.started_at, record.finished_at) == (None, at(1))


@contract
async def test_a_change_writes_all_it_carries(store):
    await put(store, run(status=RUNNING))
    completion = RunCompletion(USAGE, {"a": 1}, {"interrupts": [1]}, "Title")
    await store.runs.update_status(
        move(
            RUNNING,
            INTERRUPTED,
            attempt=4,
            action=CancelAction.ROLLBACK,
            stop_reason=StopReason.SUPERSEDED,
            error="why",
            model_name="m",
            completion=completion,
        )
    )

    record = await store.runs.get("r")

    assert (record.attempt, record.error, record.model_name) == (4, "why", "m")
    assert (record.action, record.stop_reason) == (CancelAction.ROLLBACK, StopReason.SUPERSEDED)
    assert (record.usage, record.output, record.title) == (USAGE, {"a": 1}, "Title")
    assert record.waits_for_human


@contract
async def test_what_a_change_leaves_out_stays_the_error_too(store):
    before = run(
        status=RUNNING,
        error="first",
        attempt=2,
        action=CancelAction.INTERRUPT,
        output=1,
        title="T",
        model_name="m",
        usage=USAGE,
        completion_data={"a": 1},
    )
    await put(store, before)
    await store.runs.update_status(move(RUNNING, ERROR, completion=RunCompletion()))

    record = await store.runs.get("r")

    for name in ("error", "attempt", "action", "output", "title", "usage", "completion_data"):
        assert getattr(record, name) == getattr(before, name), name


@contract
async def test_of_two_ends_the_first_one_stands(store):
    await put(store, run())
    await store.runs.update_status(move(PENDING, RUNNING))

    assert await store.runs.update_status(move(RUNNING, INTERRUPTED))
    assert not await store.runs.update_status(move(RUNNING, SUCCESS))
    assert (await store.runs.get("r")).status is INTERRUPTED


moves = st.lists(st.tuples(st.sampled_from(RunStatus), st.sampled_from(RunStatus)), max_size=12)


@given(attempts=moves)
@contract
async def test_no_sequence_of_changes_leaves_a_terminal_status(store, attempts):
    await put(store, run())
    history = [PENDING]
    for expected, target in attempts:
        if await store.runs.update_status(move(expected, target)):
            history.append(target)
        await store.runs.update_run_completion("r", target, RunCompletion(), at(2))
        history.append((await store.runs.get("r")).status)

    for now, later in pairwise(history):
        assert later is now or later in TRANSITIONS[now]


# Completion.


@contract
@pytest.mark.parametrize("status", TERMINAL)
async def test_a_completion_ends_a_running_run(store, status):
    await put(store, run(status=RUNNING))

    assert await store.runs.update_run_completion(
        "r", status, RunCompletion(USAGE, output=1), at(9), error="why"
    )

    record = await store.runs.get("r")
    assert (record.status, record.usage, record.output) == (status, USAGE, 1)
    assert (record.error, record.finished_at, record.updated_at) == ("why", at(9), at(9))
    assert await store.runs.list_inflight() == []


@contract
async def test_completion_data_that_comes_late_is_added_and_the_end_stays(store):
    await put(store, run())
    await finish(store, minute=3)

    assert await store.runs.update_run_completion("r", SUCCESS, RunCompletion(USAGE), at(9))

    record = await store.runs.get("r")
    assert (record.status, record.usage, record.finished_at) == (SUCCESS, USAGE, at(3))


@contract
async def test_a_completion_never_replaces_a_terminal_status(store):
    await put(store, run())
    await finish(store, target=TIMEOUT)
    before = await store.runs.get("r")

    assert not await store.runs.update_run_completion(
        "r", SUCCESS, RunCompletion(USAGE, 1), at(9), error="late"
    )
    assert await store.runs.get("r") == before


@contract
async def test_a_completion_of_an_unknown_run_is_refused(store):
    assert not await store.runs.update_run_completion("r", SUCCESS, RunCompletion(), at())


# Progress, and the model's name.


@contract
@pytest.mark.parametrize("status", list(RunStatus))
async def test_progress_is_written_on_running_runs_only_and_moves_nothing(store, status):
    await put(store, run(status=status))

    assert await store.runs.update_run_progress("r", USAGE) is (status is RUNNING)

    record = await store.runs.get("r")
    assert record.status is status
    assert record.usage == (USAGE if status is RUNNING else RunUsage())


@contract
@pytest.mark.parametrize(
    ("name", "kept"),
    [("  m ", "m"), ("m" * 200, "m" * 128), ("  ", None), ("", None), (None, None)],
)
async def test_the_models_name_is_stripped_and_short_and_blank_is_none(store, name, kept):
    await put(store, run(model_name="old"))

    assert await store.runs.update_model_name("r", name)
    assert (await store.runs.get("r")).model_name == kept


@contract
async def test_the_models_name_of_a_change_is_stripped_and_short_too(store):
    await put(store, run())
    await store.runs.update_status(move(PENDING, RUNNING, model_name=f" {'m' * 200}"))

    assert (await store.runs.get("r")).model_name == "m" * 128
