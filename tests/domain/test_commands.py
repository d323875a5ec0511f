"""Commands and queries: what they take, copy and refuse."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from callboard.domain import (
    MAX_PAGE,
    CancelAction,
    CancelRunCommand,
    CreateRunCommand,
    DisconnectMode,
    GetRunQuery,
    InvalidValue,
    JoinRunStreamCommand,
    ListRunMessagesQuery,
    ListRunsQuery,
    MultitaskStrategy,
    RunId,
    RunScope,
    RunStatus,
    SearchThreadsQuery,
    UnserialisablePayload,
    UnsupportedStrategyError,
)

NAN, INFINITY = float("nan"), float("inf")
BASE = {
    CreateRunCommand: {"run_id": "r", "thread_id": "t", "assistant_id": "a"},
    CancelRunCommand: {"run_id": "r"},
    JoinRunStreamCommand: {"run_id": "r"},
    GetRunQuery: {"run_id": "r"},
    ListRunsQuery: {"thread_id": "t"},
    ListRunMessagesQuery: {"thread_id": "t"},
    SearchThreadsQuery: {"user_id": "u"},
}

BAD = [
    (CreateRunCommand, "run_id", " "),
    (CreateRunCommand, "thread_id", 7),
    (CreateRunCommand, "assistant_id", "a\nb"),
    (CreateRunCommand, "user_id", ""),
    (CreateRunCommand, "follow_up_to_run_id", ""),
    (CreateRunCommand, "multitask_strategy", "maybe"),
    (CreateRunCommand, "multitask_strategy", None),
    (CreateRunCommand, "multitask_strategy", []),
    (CreateRunCommand, "scope", "global"),
    (CreateRunCommand, "on_disconnect", True),
    (CreateRunCommand, "metadata", [1]),
    (CreateRunCommand, "config", "text"),
    (CreateRunCommand, "context", 1),
    (CreateRunCommand, "stream_mode", 7),
    (CreateRunCommand, "stream_mode", ["values", ""]),
    (CreateRunCommand, "stream_mode", None),
    (CreateRunCommand, "interrupt_before", [1]),
    (CreateRunCommand, "interrupt_after", ""),
    (CreateRunCommand, "idempotency_key", ""),
    (CreateRunCommand, "idempotency_key", "  "),
    (CreateRunCommand, "idempotency_key", 5),
    (CreateRunCommand, "after_seconds", -1),
    (CreateRunCommand, "after_seconds", NAN),
    (CreateRunCommand, "after_seconds", "1"),
    (CreateRunCommand, "after_seconds", True),
    (CreateRunCommand, "after_seconds", None),
    (CreateRunCommand, "timeout", 0),
    (CreateRunCommand, "timeout", -1),
    (CreateRunCommand, "timeout", INFINITY),
    (CreateRunCommand, "timeout", 10**400),
    (CreateRunCommand, "timeout", 1e11),
    (CreateRunCommand, "timeout", "soon"),
    (CreateRunCommand, "resumable", "yes"),
    (CreateRunCommand, "resumable", None),
    (CancelRunCommand, "run_id", ""),
    (CancelRunCommand, "action", "maim"),
    (CancelRunCommand, "wait", 1),
    (CancelRunCommand, "user_id", " "),
    (JoinRunStreamCommand, "run_id", ""),
    (JoinRunStreamCommand, "last_event_id", "abc"),
    (JoinRunStreamCommand, "last_event_id", "-2"),
    (JoinRunStreamCommand, "last_event_id", "1.5"),
    (JoinRunStreamCommand, "last_event_id", "٣"),
    (JoinRunStreamCommand, "last_event_id", "9" * 5000),
    (JoinRunStreamCommand, "user_id", ""),
    (GetRunQuery, "run_id", ""),
    (GetRunQuery, "thread_id", ""),
    (GetRunQuery, "user_id", ""),
    (ListRunsQuery, "thread_id", ""),
    (ListRunsQuery, "user_id", ""),
    (ListRunsQuery, "status", "done"),
    (ListRunsQuery, "limit", 0),
    (ListRunsQuery, "limit", MAX_PAGE + 1),
    (ListRunsQuery, "limit", "5"),
    (ListRunsQuery, "limit", None),
    (ListRunsQuery, "limit", True),
    (ListRunsQuery, "offset", -1),
    (ListRunsQuery, "offset", "1"),
    (ListRunsQuery, "offset", 2**62 + 1),
    (ListRunsQuery, "offset", 10**400),
    (ListRunMessagesQuery, "thread_id", ""),
    (ListRunMessagesQuery, "run_id", ""),
    (ListRunMessagesQuery, "user_id", ""),
    (ListRunMessagesQuery, "limit", 2.5),
    (ListRunMessagesQuery, "before_seq", -1),
    (ListRunMessagesQuery, "before_seq", "x"),
    (ListRunMessagesQuery, "after_seq", -1),
    (SearchThreadsQuery, "thread_ids", "abc"),
    (SearchThreadsQuery, "thread_ids", b"abc"),
    (SearchThreadsQuery, "thread_ids", {"a": 1}),
    (SearchThreadsQuery, "thread_ids", 5),
    (SearchThreadsQuery, "offset", 10**400),
]


def bad_id(parameter):
    return parameter.__name__ if isinstance(parameter, type) else repr(parameter)[:20]


@pytest.mark.parametrize(("kind", "name", "value"), BAD, ids=bad_id)
def test_bad_input_is_a_typed_error_that_names_field_value_and_remedy(kind, name, value):
    with pytest.raises(InvalidValue) as refused:
        kind(**BASE[kind] | {name: value})

    assert refused.value.field == name
    assert str(refused.value).startswith(f"{name} is {repr(value)[:40]}")
    assert refused.value.remedy in str(refused.value)


@pytest.mark.parametrize("name", ["input", "command", "metadata", "config", "context"])
def test_a_payload_that_is_not_json_is_refused_with_its_place(name):
    with pytest.raises(UnserialisablePayload) as refused:
        CreateRunCommand(**BASE[CreateRunCommand], **{name: {"a": [0, {1, 2}]}})

    assert refused.value.field == f"{name}.a[1]"


def test_an_unknown_strategy_is_its_own_error_and_lists_the_known_ones():
    with pytest.raises(UnsupportedStrategyError) as refused:
        CreateRunCommand(**BASE[CreateRunCommand], multitask_strategy="maybe")

    for strategy in MultitaskStrategy:
        assert f"'{strategy}'" in str(refused.value)


@pytest.mark.parametrize("kind", BASE)
def test_words_become_typed_values(kind):
    made = kind(**{name: f" {value} " for name, value in BASE[kind].items()})

    for name, value in BASE[kind].items():
        assert getattr(made, name) == value
        assert type(getattr(made, name)) is not str


def test_a_command_reads_the_words_of_every_choice():
    command = CreateRunCommand(
        **BASE[CreateRunCommand],
        multitask_strategy="enqueue",
        scope="stateless",
        on_disconnect="cancel",
        follow_up_to_run_id="r0",
    )

    assert command.multitask_strategy is MultitaskStrategy.ENQUEUE
    assert command.scope is RunScope.STATELESS
    assert command.on_disconnect is DisconnectMode.CANCEL
    assert type(command.follow_up_to_run_id) is RunId
    assert CancelRunCommand(run_id="r", action="rollback").action is CancelAction.ROLLBACK
    assert ListRunsQuery(thread_id="t", status="error").status is RunStatus.ERROR


def test_what_is_left_out_has_its_documented_default():
    command = CreateRunCommand(**BASE[CreateRunCommand])
    given = {f.name: getattr(command, f.name) for f in fields(command)}

    assert given == BASE[CreateRunCommand] | {
        "input": None,
        "multitask_strategy": "reject",
        "user_id": None,
        "metadata": {},
        "config": {},
        "context": {},
        "command": None,
        "stream_mode": (),
        "interrupt_before": (),
        "interrupt_after": (),
        "scope": "stateful",
        "on_disconnect": "continue",
        "idempotency_key": None,
        "after_seconds": 0.0,
        "timeout": None,
        "resumable": False,
        "follow_up_to_run_id": None,
        "forget_on_rollback": False,
        "host_data": {},
    }


def test_two_commands_share_no_payload():
    one, two = (CreateRunCommand(**BASE[CreateRunCommand]) for _ in range(2))

    for name in ("metadata", "config", "context"):
        assert getattr(one, name) is not getattr(two, name)


@pytest.mark.parametrize("name", ["input", "command", "metadata", "config", "context"])
def test_a_payload_is_copied_so_that_nobody_changes_it_later(name):
    payload = {"list": [1]}
    command = CreateRunCommand(**BASE[CreateRunCommand], **{name: payload})
    payload["list"].append(2)

    assert getattr(command, name) == {"list": [1]}


def test_no_payload_is_an_empty_one():
    command = CreateRunCommand(**BASE[CreateRunCommand], metadata=None, config=None, context=None)

    assert (command.metadata, command.config, command.context) == ({}, {}, {})


@pytest.mark.parametrize(
    ("given", "kept"),
    [("values", ("values",)), (["values", "updates"], ("values", "updates")), ((), ()), ([], ())],
)
def test_a_word_or_a_list_of_words_becomes_a_tuple(given, kept):
    command = CreateRunCommand(
        **BASE[CreateRunCommand], stream_mode=given, interrupt_before=given, interrupt_after=given
    )

    assert command.stream_mode == command.interrupt_before == command.interrupt_after == kept


def test_a_star_stands_for_every_node():
    command = CreateRunCommand(**BASE[CreateRunCommand], interrupt_before="*", interrupt_after="*")

    assert (command.interrupt_before, command.interrupt_after) == ("*", "*")


@pytest.mark.parametrize(
    ("last_event_id", "after"),
    [(None, 0), ("-1", 0), ("", 0), (" 7 ", 7), ("0", 0), (12, 12)],
)
def test_a_stream_is_joined_right_after_the_last_frame_seen(last_event_id, after):
    assert JoinRunStreamCommand(run_id="r", last_event_id=last_event_id).after == after


def test_messages_are_paged_in_one_direction_at_a_time():
    with pytest.raises(InvalidValue, match="not both"):
        ListRunMessagesQuery(thread_id="t", before_seq=5, after_seq=1)


@pytest.mark.parametrize("kind", BASE)
def test_a_command_is_frozen_copied_and_pickled_as_a_value(kind):
    command = kind(**BASE[kind])
    (name, *_) = BASE[kind]

    with pytest.raises(FrozenInstanceError):
        setattr(command, name, "other")
    assert pickle.loads(pickle.dumps(command)) == command
    assert replace(command) == command
    assert getattr(replace(command, **{name: "other"}), name) == "other"
