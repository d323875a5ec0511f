"""Commands and views as JSON: every wire type there and back."""

import json
from dataclasses import MISSING, dataclass, fields
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import (
    WIRE_TYPES,
    CreateRunCommand,
    InvalidValue,
    RunId,
    RunSnapshot,
    RunStatus,
    RunUsage,
    ThreadId,
    decode,
    encode,
)
from tests.domain.samples import CALLER, COMMAND, FULL, RUN_NODE, SNAPSHOT, THREAD_NODE


def name(value):
    return type(value).__name__


def bare(value):
    """The same kind of value with every optional field left out."""
    needed = {
        f.name: getattr(value, f.name)
        for f in fields(value)
        if f.default is MISSING and f.default_factory is MISSING
    }
    return type(value)(**needed)


def over_the_wire(value):
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


def types_of(value):
    """The types of a value's parts, to tell an enum from its text. Identifiers are text."""
    if hasattr(value, "__dataclass_fields__"):
        return type(value), [types_of(getattr(value, f.name)) for f in fields(value)]
    return str if isinstance(value, RunId | ThreadId) else type(value)


def test_every_wire_type_has_a_full_sample():
    assert [name(sample) for sample in FULL] == list(WIRE_TYPES)


@pytest.mark.parametrize("value", FULL, ids=name)
def test_a_full_sample_leaves_no_field_at_its_default(value):
    skipped = {"after_seq"}  # a page has one bound
    for field in fields(value):
        if field.default is not MISSING and field.name not in skipped:
            assert getattr(value, field.name) != field.default, field.name


@pytest.mark.parametrize("reduced", [lambda value: value, bare], ids=["full", "bare"])
@pytest.mark.parametrize("sample", FULL, ids=name)
def test_every_wire_type_comes_back_as_it_was_sent(sample, reduced):
    value = reduced(sample)
    again = over_the_wire(value)

    assert again == value
    assert types_of(again) == types_of(value)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
payloads = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(payloads, st.dictionaries(texts, payloads, max_size=3), st.datetimes(timezones=st.just(UTC)))
def test_payloads_and_moments_come_back_as_they_were_sent(payload, mapping, moment):
    command = CreateRunCommand(
        run_id="r", thread_id="t", assistant_id="a", input=payload, metadata=mapping
    )
    snapshot = RunSnapshot(
        request=command,
        status=RunStatus.SUCCESS,
        created_at=moment,
        updated_at=moment,
        output=payload,
    )

    assert over_the_wire(snapshot) == snapshot


def test_a_subclass_travels_as_the_wire_type_it_is():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Richer(RunUsage):
        extra: int = 0

    assert over_the_wire(Richer(total_tokens=1, extra=5)) == RunUsage(total_tokens=1)


@pytest.mark.parametrize("value", [None, 1, {"a": 1}, RunStatus.ERROR, RunSnapshot])
def test_what_is_no_wire_type_is_not_sent(value):
    with pytest.raises(InvalidValue, match="encode one of"):
        encode(value)


def test_a_class_that_only_has_the_name_of_a_wire_type_is_not_sent():
    impostor = dataclass(type("Frame", (), {"__annotations__": {}}))

    with pytest.raises(InvalidValue, match="encode one of"):
        encode(impostor())


def test_a_document_may_hold_fields_of_a_later_version():
    document = encode(CALLER)
    document["data"]["novel"] = 1

    assert decode(document) == CALLER


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, "document"),
        ([], "document"),
        ({}, "v"),
        ({"v": 2, "type": "Frame", "data": {}}, "v"),
        ({"v": 1, "data": {}}, "type"),
        ({"v": 1, "type": "Run", "data": {}}, "type"),
        ({"v": 1, "type": [], "data": {}}, "type"),
        ({"v": 1, "type": "Frame"}, "Frame"),
        ({"v": 1, "type": "Frame", "data": []}, "Frame"),
        ({"v": 1, "type": "Frame", "data": {"id": "1"}}, "Frame"),
    ],
    ids=repr,
)
def test_a_document_that_is_none_of_ours_is_refused(document, field):
    with pytest.raises(InvalidValue) as refused:
        decode(document)

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("sample", "path", "value"),
    [
        (SNAPSHOT, "status", "done"),
        (SNAPSHOT, "status", None),
        (SNAPSHOT, "status", 5),
        (SNAPSHOT, "created_at", "yesterday"),
        (SNAPSHOT, "created_at", 5),
        (SNAPSHOT, "attempt", "1"),
        (SNAPSHOT, "attempt", True),
        (SNAPSHOT, "reused", "no"),
        (SNAPSHOT, "title", 5),
        (SNAPSHOT, "usage", []),
        (SNAPSHOT, "usage.total_tokens", "many"),
        (SNAPSHOT, "usage.tokens_by_model", [1]),
        (SNAPSHOT, "usage.tokens_by_model.m", "many"),
        (SNAPSHOT, "request", None),
        (SNAPSHOT, "request.stream_mode", "values"),
        (SNAPSHOT, "completion_data", None),
        (RUN_NODE, "age", "old"),
        (THREAD_NODE, "runs", {}),
        (CALLER, "subagent", 1.5),
    ],
    ids=lambda parameter: repr(parameter)[:30],
)
def test_a_field_of_the_wrong_type_is_refused_with_its_path(sample, path, value):
    document = encode(sample)
    *way, last = path.split(".")
    place = document["data"]
    for step in way:
        place = place[step]
    place[last] = value

    with pytest.raises(InvalidValue) as refused:
        decode(document)

    assert refused.value.field == f"{name(sample)}.{path}"


def test_a_command_that_arrives_is_checked_as_if_a_caller_had_written_it():
    document = encode(COMMAND)
    document["data"]["timeout"] = -1

    with pytest.raises(InvalidValue, match="timeout is -1"):
        decode(document)
