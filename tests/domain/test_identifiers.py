"""Identifiers are checked once, where they enter."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import (
    SLOTS,
    AssistantId,
    EventSeq,
    InvalidIdentifier,
    InvalidValue,
    RunId,
    ThreadId,
    UserId,
    slot_of,
)

KINDS = [RunId, ThreadId, AssistantId, UserId]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "is blank"),
        ("  \t", "is blank"),
        ("a\nb", "control characters"),
        ("a\x00", "control characters"),
        ("\ud800", "control characters"),
        (None, "is not a string"),
        (7, "is not a string"),
        (b"a", "is not a string"),
    ],
)
def test_what_cannot_name_anything_is_refused_by_the_name_of_its_field(kind, value, fault):
    with pytest.raises(InvalidIdentifier, match=fault) as refused:
        kind(value)

    assert refused.value.field == kind.field
    assert str(refused.value).startswith(f"{kind.field} is {value!r}")
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize("kind", KINDS)
def test_blanks_at_the_ends_are_stripped(kind):
    assert kind("  a b ") == "a b"


@pytest.mark.parametrize("kind", KINDS)
def test_an_identifier_is_its_text_and_survives_pickling(kind):
    value = kind("a")

    assert (value, hash(value)) == ("a", hash("a"))
    assert kind(value) is value
    assert type(pickle.loads(pickle.dumps(value))) is kind


@pytest.mark.parametrize("value", [-1, 1.5, "1", None, True])
def test_a_seq_is_a_whole_number_from_0_upwards(value):
    with pytest.raises(InvalidValue, match="count from 0 upwards"):
        EventSeq(value)


def test_a_seq_knows_the_next_and_its_order():
    assert EventSeq(3).next() == EventSeq(4)
    assert EventSeq(2) < EventSeq(10)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_thread_has_one_of_the_slots_for_ever(thread_id):
    assert 0 <= slot_of(thread_id) < SLOTS
    assert slot_of(thread_id) == slot_of(thread_id)


def test_slots_are_fixed_for_the_life_of_every_store_there_is():
    assert [slot_of(thread) for thread in ("thread-1", "thread-2", "ü")] == [169, 205, 55]


def test_threads_are_spread_over_all_slots():
    assert len({slot_of(f"thread-{number}") for number in range(5000)}) == SLOTS
