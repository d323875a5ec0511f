"""Policies, as tables of cases."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import (
    CancelAction,
    CancelPolicy,
    InvalidValue,
    MultitaskDecision,
    MultitaskPolicy,
    MultitaskStrategy,
    RestartPolicy,
    UnsupportedStrategyError,
)

INTERRUPT, ROLLBACK = CancelAction


@pytest.mark.parametrize(
    ("strategy", "on_a_busy_thread"),
    [
        (MultitaskStrategy.REJECT, MultitaskDecision.REJECT),
        (MultitaskStrategy.INTERRUPT, MultitaskDecision.CANCEL_EXISTING),
        (MultitaskStrategy.ROLLBACK, MultitaskDecision.CANCEL_EXISTING),
        (MultitaskStrategy.ENQUEUE, MultitaskDecision.ENQUEUE),
    ],
)
def test_a_strategy_decides_by_what_is_in_flight_alone(strategy, on_a_busy_thread):
    assert MultitaskPolicy.decide(strategy, 0) is MultitaskDecision.ALLOW
    for in_flight in (1, 2, 100):
        assert MultitaskPolicy.decide(strategy, in_flight) is on_a_busy_thread


def test_an_unknown_strategy_is_unsupported_on_an_idle_thread_too():
    for in_flight in (0, 1):
        with pytest.raises(UnsupportedStrategyError, match="'maybe'"):
            MultitaskPolicy.decide("maybe", in_flight)


def test_every_strategy_is_decided():
    for strategy in MultitaskStrategy:
        assert MultitaskPolicy.decide(strategy, 1) in MultitaskDecision


@pytest.mark.parametrize("strategy", list(MultitaskStrategy))
def test_only_rollback_rolls_back(strategy):
    expected = ROLLBACK if strategy is MultitaskStrategy.ROLLBACK else INTERRUPT

    assert MultitaskPolicy.action(strategy) is expected


@pytest.mark.parametrize(
    ("asked", "now", "strongest"),
    [
        (None, INTERRUPT, INTERRUPT),
        (None, ROLLBACK, ROLLBACK),
        (INTERRUPT, INTERRUPT, INTERRUPT),
        (INTERRUPT, ROLLBACK, ROLLBACK),
        (ROLLBACK, INTERRUPT, ROLLBACK),
        (ROLLBACK, ROLLBACK, ROLLBACK),
    ],
)
def test_an_abort_is_upgraded_and_never_down(asked, now, strongest):
    assert CancelPolicy.strongest(asked, now) is strongest


def test_only_a_rollback_restores_the_state():
    assert CancelPolicy.rolls_back_checkpoint(ROLLBACK)
    assert not CancelPolicy.rolls_back_checkpoint(INTERRUPT)


# Restarts.


def test_by_default_nothing_is_restarted():
    assert not RestartPolicy().allows([], now=0.0)


@pytest.mark.parametrize(
    ("restarts", "now", "allowed"),
    [
        ([], 100.0, True),
        ([99.0], 100.0, True),
        ([98.0, 99.0], 100.0, False),
        ([90.0, 99.0], 100.0, True),
        ([90.001, 99.0], 100.0, False),
        ([1.0, 2.0, 3.0], 100.0, True),
        ([1.0, 98.0, 99.0, 100.0], 100.0, False),
    ],
)
def test_restarts_are_counted_in_a_window_that_moves(restarts, now, allowed):
    policy = RestartPolicy(max_restarts=2, within=10.0)

    assert policy.allows(restarts, now) is allowed


@given(
    gaps=st.lists(st.floats(0, 20), max_size=30),
    max_restarts=st.integers(0, 5),
    within=st.floats(0.1, 30),
)
def test_no_window_ever_holds_more_restarts_than_allowed(gaps, max_restarts, within):
    policy, made, now = RestartPolicy(max_restarts=max_restarts, within=within), [], 0.0
    for gap in gaps:
        now += gap
        if policy.allows(made, now):
            made.append(now)

    for end in made:
        assert sum(1 for at in made if at <= end and end - at < within) <= max_restarts


def test_the_wait_doubles_up_to_the_longest():
    policy = RestartPolicy(backoff=0.5, max_backoff=3.0, jitter=0.0)

    assert [policy.delay(n, 0.7) for n in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1, 2, 3, 3, 3]


def test_chance_moves_the_wait_by_its_share_to_both_sides():
    policy = RestartPolicy(backoff=10.0, max_backoff=100.0, jitter=0.1)

    assert [round(policy.delay(1, chance), 6) for chance in (0, 0.5, 1)] == [9, 10, 11]


@given(
    restart=st.integers(1, 10_000),
    chance=st.floats(0, 1),
    backoff=st.floats(0, 1e6),
    max_backoff=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
def test_the_wait_is_never_negative_nor_longer_than_the_longest(
    restart, chance, backoff, max_backoff, jitter
):
    policy = RestartPolicy(backoff=backoff, max_backoff=max_backoff, jitter=jitter)
    wait = min(max_backoff, backoff * 2.0 ** min(restart - 1, 60))

    delay = policy.delay(restart, chance)

    assert max(0.0, wait * (1 - jitter) * 0.999999) <= delay <= max_backoff
    assert delay <= wait * (1 + jitter) * 1.000001


def test_only_what_the_policy_names_is_worth_another_try():
    policy = RestartPolicy(restart_on=(OSError, KeyError))

    assert policy.covers(ConnectionError())
    assert not policy.covers(ValueError())
    assert RestartPolicy().covers(ValueError())
    assert not RestartPolicy().covers(KeyboardInterrupt())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_restarts", -1),
        ("max_restarts", "3"),
        ("max_restarts", 1.5),
        ("within", -1),
        ("within", float("nan")),
        ("backoff", "1"),
        ("backoff", -0.1),
        ("max_backoff", float("inf")),
        ("jitter", 1.1),
        ("jitter", -0.1),
        ("jitter", float("nan")),
        ("jitter", "x"),
        ("on_orphan", "ignore"),
        ("restart_on", Exception),
        ("restart_on", ("OSError",)),
        ("restart_on", (int,)),
    ],
)
def test_what_a_policy_cannot_use_is_named_with_its_value(name, value):
    with pytest.raises(InvalidValue) as refused:
        RestartPolicy(**{name: value})

    assert refused.value.field == name
    assert repr(value) in str(refused.value)
