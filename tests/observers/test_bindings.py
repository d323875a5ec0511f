"""The ways to be an observer."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog
from structlog.testing import capture_logs

from callboard.domain.errors import InvalidValue
from callboard.domain.events import RunLifecycleEvent
from callboard.observers import (
    CallbackObserver,
    CompositeObserver,
    LifecycleEventType,
    NullObserver,
    ObserverBinding,
    StructlogObserver,
    ensure_observer,
)


@pytest.fixture(autouse=True)
def _logs_are_heard():
    structlog.reset_defaults()


def event(kind="run_started", sequence=1, /, **payload):
    return RunLifecycleEvent(
        event_id=f"r/{sequence}",
        event_type=LifecycleEventType(kind),
        run_id="r",
        thread_id="t",
        sequence=sequence,
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        payload=payload,
    )


def failing(_event):
    raise ValueError("kaput")


def composite(*bindings):
    return CompositeObserver(
        ObserverBinding(ensure_observer(observer), required=required, name=name)
        for observer, required, name in bindings
    )


def test_an_optional_failure_is_logged_once_and_the_next_is_told():
    told = []
    observer = composite((failing, False, "bad"), (told.append, False, "good"))
    with capture_logs() as logs:
        asyncio.run(observer.on_event(event()))

    assert told == [event()]
    (log,) = logs
    assert (log["observer"], log["event_type"], log["run_id"]) == ("bad", "run_started", "r")


def test_a_required_failure_reaches_the_caller_and_ends_the_telling():
    told = []
    observer = composite((failing, True, "bad"), (told.append, False, "good"))
    with pytest.raises(ValueError, match="kaput"):
        asyncio.run(observer.on_event(event()))

    assert told == []


def test_an_error_that_cannot_be_shown_does_not_stop_the_next_observer():
    class Unspeakable(Exception):
        def __repr__(self):
            raise RuntimeError("no words")

    def unspeakable(_event):
        raise Unspeakable

    told = []
    observer = composite((unspeakable, False, "bad"), (told.append, False, "good"))
    with capture_logs() as logs:
        asyncio.run(observer.on_event(event()))

    assert told == [event()]
    assert logs[0]["error"] == "Unspeakable"


def test_what_a_failing_observer_says_cannot_forge_a_log_line():
    class Forger(Exception):
        def __repr__(self):
            return "kaput\n[error] forged"

    def forging(_event):
        raise Forger

    with capture_logs() as logs:
        asyncio.run(composite((forging, False, "b\nad")).on_event(event()))

    assert "\n" not in logs[0]["error"] + logs[0]["observer"]


def test_a_cancelled_observer_is_no_failure():
    async def cancelled(_event):
        raise asyncio.CancelledError

    observer = composite((cancelled, False, "bad"))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(observer.on_event(event()))


def test_ensure_observer_takes_none_a_callback_or_an_observer():
    null, told = NullObserver(), []

    async def callback(given):
        told.append(given)

    assert isinstance(ensure_observer(None), NullObserver)
    assert ensure_observer(null) is null
    observer = ensure_observer(callback)
    assert isinstance(observer, CallbackObserver)
    asyncio.run(observer.on_event(event()))
    assert told == [event()]
    with pytest.raises(InvalidValue, match="observer is 'x'"):
        ensure_observer("x")


def test_the_structlog_observer_binds_the_ids_and_warns_of_failures():
    observer = StructlogObserver()
    with capture_logs() as logs:
        observer.on_event(event("run_started", 3, attempt=1))
        observer.on_event(event("run_failed", 4, error="kaput"))

    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("run_started", "info"),
        ("run_failed", "warning"),
    ]
    assert {(log["run_id"], log["thread_id"]) for log in logs} == {("r", "t")}
    assert logs[0]["attempt"] == 1


def test_the_structlog_observer_lets_nobody_forge_or_flood_the_log():
    with capture_logs() as logs:
        StructlogObserver().on_event(event(error="a\nb\x1b[2J", long="x" * 10_000))

    assert "\n" not in logs[0]["error"]
    assert "\x1b" not in logs[0]["error"]
    assert len(logs[0]["long"]) < 600


@pytest.mark.parametrize("key", ["self", "event", "method_name", "run_id", "exc_info", "level"])
def test_a_payload_cannot_hide_what_the_log_entry_says_itself(key):
    with capture_logs() as logs:
        StructlogObserver().on_event(event("run_started", 3, **{key: "forged"}))

    assert logs == [
        {
            "event": "run_started",
            "log_level": "info",
            "run_id": "r",
            "thread_id": "t",
            "sequence": 3,
            f"payload_{key}": "forged",
        }
    ]


def test_the_structlog_observer_cleans_keys_and_nested_values():
    payload = {"a\nb": 1, "content": [{"text": "x\x1b[2J"}], "none": None}
    with capture_logs() as logs:
        StructlogObserver().on_event(replace(event("human_message"), payload=payload))

    assert logs[0]["a\N{REPLACEMENT CHARACTER}b"] == 1
    assert "\x1b" not in logs[0]["content"]
    assert logs[0]["none"] is None


def test_the_structlog_observer_writes_to_the_logger_it_is_given():
    given = structlog.testing.CapturingLogger()
    logger = structlog.wrap_logger(given, processors=[])
    StructlogObserver(logger).on_event(event("run_started", 3))

    (call,) = given.calls
    assert (call.method_name, call.kwargs["run_id"], call.kwargs["sequence"]) == ("info", "r", 3)
