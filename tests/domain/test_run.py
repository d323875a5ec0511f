"""The Run aggregate: its transitions and the events it leaves."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import (
    TERMINAL,
    TRANSITIONS,
    CancelAction,
    InvalidIdentifier,
    InvalidRunTransition,
    Run,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunFailed,
    RunStarted,
    RunStatus,
)

PENDING, RUNNING, SUCCESS, ERROR, TIMEOUT, INTERRUPTED = RunStatus
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

MOVES = {
    RUNNING: lambda run, at: run.mark_started(at),
    SUCCESS: lambda run, at: run.mark_completed(at),
    ERROR: lambda run, at: run.mark_failed("boom", at),
    TIMEOUT: lambda run, at: run.mark_timed_out("too late", at),
    INTERRUPTED: lambda run, at: run.mark_cancelled(CancelAction.INTERRUPT, at),
}
LEGAL = {
    (PENDING, RUNNING),
    (PENDING, ERROR),
    (PENDING, TIMEOUT),
    (PENDING, INTERRUPTED),
    (RUNNING, SUCCESS),
    (RUNNING, ERROR),
    (RUNNING, TIMEOUT),
    (RUNNING, INTERRUPTED),
}


def at(minute):
    return NOON + timedelta(minutes=minute)


def run_in(status):
    """A run with this status, its events pulled."""
    run = Run.create("r", "t", "a", at(0))
    if status is SUCCESS:
        run.mark_started(at(1))
    if status is not PENDING:
        MOVES[status](run, at(2))
    run.pull_events()
    return run


def test_a_new_run_is_pending_and_has_one_event():
    run = Run.create(" r ", "t", "a", at(0))

    assert (run.run_id, run.thread_id, run.assistant_id) == ("r", "t", "a")
    assert run.status is PENDING
    assert run.created_at == run.updated_at == at(0)
    assert run.pull_events() == (RunCreated("r", at(0)),)


def test_a_run_that_starts_and_completes_tells_so_in_order():
    run = Run.create("r", "t", "a", at(0))
    run.mark_started(at(1))
    run.mark_completed(at(2))

    assert (run.status, run.updated_at, run.created_at) == (SUCCESS, at(2), at(0))
    assert run.pull_events() == (
        RunCreated("r", at(0)),
        RunStarted("r", at(1)),
        RunCompleted("r", at(2)),
    )


@pytest.mark.parametrize(("status", "text"), [(ERROR, "boom"), (TIMEOUT, "too late")])
def test_a_failure_carries_its_status_and_its_error(status, text):
    run = run_in(RUNNING)
    MOVES[status](run, at(3))

    assert (run.status, run.error) == (status, text)
    assert run.pull_events() == (RunFailed("r", at(3), status, text),)


@pytest.mark.parametrize("action", list(CancelAction))
def test_a_cancellation_carries_its_action(action):
    run = run_in(RUNNING)
    run.mark_cancelled(action, at(3))

    assert run.pull_events() == (RunCancelled("r", at(3), action),)


@pytest.mark.parametrize(("now", "target"), list(product(RunStatus, MOVES)))
def test_every_move_is_made_refused_or_a_no_op_as_the_table_says(now, target):
    run = run_in(now)

    if now is target:
        MOVES[target](run, at(9))
        assert (run.status, run.pull_events(), run.updated_at) == (now, (), at(2))
    elif (now, target) in LEGAL:
        MOVES[target](run, at(9))
        assert (run.status, len(run.pull_events()), run.updated_at) == (target, 1, at(9))
    else:
        before = (run.updated_at, run.error)
        with pytest.raises(InvalidRunTransition) as refused:
            MOVES[target](run, at(9))
        assert (refused.value.current, refused.value.target) == (now, target)
        assert (run.status, run.pull_events()) == (now, ())
        assert (run.updated_at, run.error) == before


def test_the_table_is_the_one_that_was_agreed_on():
    assert {(now, to) for now, targets in TRANSITIONS.items() for to in targets} == LEGAL
    assert set(TRANSITIONS) == set(RunStatus)


def test_a_refusal_says_both_statuses():
    with pytest.raises(InvalidRunTransition) as refused:
        run_in(SUCCESS).mark_started(at(3))

    text = "Cannot transition run from 'success' to 'running'"
    assert str(refused.value).startswith(text)


def test_failing_again_keeps_the_first_error():
    run = run_in(ERROR)
    run.mark_failed("another", at(9))

    assert run.error == "boom"


def test_events_are_pulled_once():
    run = Run.create("r", "t", "a", at(0))

    assert len(run.pull_events()) == 1
    assert run.pull_events() == ()


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_a_run_with_a_blank_id_is_not_made(blank):
    names = ["r", "t", "a"]
    names[blank] = " "

    with pytest.raises(InvalidIdentifier):
        Run.create(*names, at(0))


@given(targets=st.lists(st.sampled_from(sorted(MOVES)), max_size=10))
def test_a_terminal_status_never_changes_and_events_match_the_moves(targets):
    run, history = Run.create("r", "t", "a", at(0)), [PENDING]
    for minute, target in enumerate(targets, 1):
        try:
            MOVES[target](run, at(minute))
        except InvalidRunTransition:
            continue
        if run.status is not history[-1]:
            history.append(run.status)

    assert all(status not in TERMINAL for status in history[:-1])
    assert run.is_terminal is (history[-1] in TERMINAL)
    assert len(run.pull_events()) == len(history)
