"""Whatever a graph streams becomes plain JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel, Field, SecretStr

from callboard.actors.executors.langgraph_frames import to_json
from callboard.domain.payload import plain


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: float
    label: Colour


class Account(BaseModel):
    name: str
    password: SecretStr = SecretStr("hidden")
    internal: str = Field(default="no", exclude=True)


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


JSON_OF = {
    "nan": (float("nan"), None),
    "infinity": ([float("inf"), 1.5], [None, 1.5]),
    "keys": ({1: "a", "__pregel_send": print}, {"1": "a"}),
    "tuple": ((1, 2), [1, 2]),
    "set": ({3, 1, 2}, [1, 2, 3]),
    "mixed set": ({"b", 1}, ["b", 1]),
    "bytes": (b"\x00\xff", "AP8="),
    "uuid": (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "datetime": (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    "date": (date(2026, 1, 2), "2026-01-02"),
    "duration": (timedelta(seconds=1.5), 1.5),
    "decimal": (Decimal("1.10"), "1.10"),
    "path": (PurePosixPath("/a/b"), "/a/b"),
    "int enum": (Level.HIGH, 3),
    "lone surrogate": ("lone \ud800", "lone ?"),
    "dataclass": (Point(1.0, Colour.RED), {"x": 1.0, "label": "red"}),
    "send": (Send("node", {"a": 1}), {"node": "node", "arg": {"a": 1}}),
    "model": (Account(name="ann"), {"name": "ann", "password": "SecretStr('**********')"}),
    "hostile repr": (Hostile(), "<Hostile>"),
    "class": ([Point], [f"<class '{__name__}.Point'>"]),
}


@pytest.mark.parametrize(("value", "expected"), JSON_OF.values(), ids=JSON_OF)
def test_a_value_becomes_json(value, expected):
    assert to_json(value) == expected


def test_a_message_keeps_its_type_id_and_tool_calls():
    call = {"name": "double", "args": {"n": 1}, "id": "c", "type": "tool_call"}

    message = to_json(AIMessage("hi", id="m", tool_calls=[call]))

    assert (message["type"], message["id"], message["content"]) == ("ai", "m", "hi")
    assert message["tool_calls"] == [call]


def test_interrupts_and_commands_keep_their_fields():
    assert to_json(Interrupt("why?", id="i")).items() >= {"value": "why?", "id": "i"}.items()
    assert to_json(Command(resume=1, goto="a")).items() >= {"resume": 1, "goto": "a"}.items()


def test_what_holds_itself_and_what_is_too_deep_ends_in_text():
    loop: list = []
    loop += [loop, loop]
    deep: list = []
    for _ in range(500):
        deep = [deep]

    assert to_json(loop) == ["[[...], [...]]", "[[...], [...]]"]
    plain(to_json(deep), "deep")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
LEAVES |= st.text(st.characters(categories=["Cs"]), max_size=2) | st.builds(object)


@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner)
            | st.dictionaries(LEAVES, inner, max_size=3)
            | st.builds(Point, st.floats(), inner)
        ),
        max_leaves=20,
    )
)
def test_every_value_becomes_json_that_a_frame_takes(value):
    document = plain(to_json(value), "data")

    assert json.loads(json.dumps(document, allow_nan=False)) == document
