"""Payloads: copied as plain JSON, or refused with the place."""

import json
from collections import OrderedDict, deque
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import UnserialisablePayload, plain

texts = st.text(st.characters(exclude_categories=["Cs"]))
atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
payloads = st.recursive(
    atoms | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class Colour(StrEnum):
    RED = "red"


class Mixed(str, Enum):  # noqa: UP042 - a mixed-in string is what is tested
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Plain(Enum):
    RED = "red"
    PAIR = (1, 2)
    ODD = frozenset()


class Point(NamedTuple):
    x: int
    y: int


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle():
    value = {}
    value["self"] = [value]
    return value


@given(payloads)
def test_a_json_value_is_copied_as_json_would_copy_it(value):
    copied = plain(value, "input")

    assert copied == value == json.loads(json.dumps(copied))
    assert repr(copied) == repr(json.loads(json.dumps(value)))


@given(payloads)
def test_the_copy_shares_nothing_that_can_change(value):
    def containers(part):
        found = [part] if isinstance(part, list | dict) else []
        inner = part.values() if isinstance(part, dict) else part if found else ()
        return found + [deep for item in inner for deep in containers(item)]

    mine = {id(part) for part in containers(value)}
    assert mine.isdisjoint(id(part) for part in containers(plain(value, "input")))


@pytest.mark.parametrize(
    ("value", "copied"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": (1,)}), {"a": [1]}),
        (Colour.RED, "red"),
        (Mixed.RED, "red"),
        (Number.ONE, 1),
        (Plain.RED, "red"),
        (Plain.PAIR, [1, 2]),
        ({Colour.RED: 1}, {"red": 1}),
        ({Mixed.RED: 1}, {"red": 1}),
        (Text("text"), "text"),
        ({Text("text"): 1}, {"text": 1}),
        (nested(100), nested(100)),
        (10**640 - 1, 10**640 - 1),
        ("\x00ü\U0001f600", "\x00ü\U0001f600"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_means_json_becomes_json(value, copied):
    result = plain(value, "input")

    assert result == copied
    assert repr(result) == repr(copied)


@pytest.mark.parametrize(
    ("said", "place", "value"),
    [
        ("nan", "input", float("nan")),
        ("-inf", "input.a[1]", {"a": [0, float("-inf")]}),
        ("surrogate", "input", "\ud800"),
        ("surrogate", "input.a", {"a": "ü\udfff"}),
        ("surrogate", "input.a key", {"a": {"\ud800": 1}}),
        ("use strings as keys", "input.a key", {"a": {1: 1}}),
        ("use strings as keys", "input[0] key", [{None: 1}]),
        ("a set", "input.a", {"a": {1, 2}}),
        ("a bytes", "input[0]", [b"bytes"]),
        ("a object", "input[0][0]", [[object()]]),
        ("a deque", "input[1]", (1, deque())),
        ("a type", "input", int),
        ("a frozenset", "input", Plain.ODD),
        ("a very long integer", "input[0]", [10**640]),
        ("a very long integer", "input.n", {"n": -(10**5000)}),
        ("at most 100 levels", "input.self[0].self", cycle()),
        ("at most 100 levels", "input[0][0]", nested(101)),
    ],
    ids=lambda part: part if isinstance(part, str) and part.isascii() else "",
)
def test_what_is_not_json_is_refused_with_its_place(said, place, value):
    with pytest.raises(UnserialisablePayload) as refused:
        plain(value, "input")

    assert refused.value.field.startswith(place)
    assert said in str(refused.value)
    assert isinstance(refused.value, TypeError)
    assert isinstance(refused.value, ValueError)


def test_a_refusal_of_something_long_stays_readable():
    with pytest.raises(UnserialisablePayload) as refused:
        plain("\ud800" * 100_000, "input")

    assert len(str(refused.value)) < 1000
