"""Bad input: a typed error that names the value and the remedy, and nothing recorded."""

import pytest

from callboard import Agent, MemoryStore, Runtime
from callboard.domain.errors import (
    CallboardError,
    InvalidIdentifier,
    InvalidValue,
    UnknownAgent,
    UnserialisablePayload,
    UnsupportedStrategyError,
)
from callboard.domain.policies import RestartPolicy
from tests.support import opened, virtual


async def echo(run):
    return run.input


BAD_RUNS = [
    ({"assistant_id": "nobody"}, UnknownAgent, "nobody.*known: 'echo'"),
    ({"thread_id": ""}, InvalidIdentifier, "thread_id is ''"),
    ({"thread_id": "  "}, InvalidIdentifier, "thread_id"),
    ({"thread_id": "a\nb"}, InvalidIdentifier, "control characters"),
    ({"thread_id": 7}, InvalidIdentifier, "thread_id is 7"),
    ({"thread_id": None}, InvalidValue, "thread_id is None"),
    ({"run_id": " "}, InvalidIdentifier, "run_id"),
    ({"user_id": ""}, InvalidIdentifier, "user_id"),
    ({"multitask_strategy": "merge"}, UnsupportedStrategyError, "'merge'.*'enqueue'"),
    ({"scope": "global"}, InvalidValue, "scope is 'global'"),
    ({"on_disconnect": "panic"}, InvalidValue, "on_disconnect is 'panic'"),
    ({"metadata": {"a": object()}}, UnserialisablePayload, "metadata.a"),
    ({"metadata": {1: 2}}, UnserialisablePayload, "metadata key"),
    ({"metadata": "text"}, InvalidValue, "metadata is 'text'"),
    ({"input": {1, 2}}, UnserialisablePayload, "input"),
    ({"input": float("inf")}, UnserialisablePayload, "NaN or infinity"),
    ({"config": [1]}, InvalidValue, "config"),
    ({"timeout": -1}, InvalidValue, "timeout is -1"),
    ({"timeout": 0}, InvalidValue, "timeout is 0"),
    ({"timeout": float("nan")}, InvalidValue, "timeout"),
    ({"timeout": "soon"}, InvalidValue, "timeout is 'soon'"),
    ({"after_seconds": -0.5}, InvalidValue, "after_seconds is -0.5"),
    ({"idempotency_key": " "}, InvalidValue, "idempotency_key"),
    ({"after_seconds": 1e300}, InvalidValue, "after_seconds is 1e\\+300: give at most"),
    ({"stream_mode": [1]}, InvalidValue, "stream_mode"),
    ({"stream_mode": 5}, InvalidValue, "stream_mode is 5: give a list"),
    ({"stream_mode": {"values": True}}, InvalidValue, "stream_mode is {'values': True}"),
    ({"interrupt_before": [""]}, InvalidValue, "interrupt_before"),
    ({"interrupt_before": 5}, InvalidValue, "interrupt_before is 5"),
    ({"interrupt_after": 5}, InvalidValue, "interrupt_after is 5"),
]


@pytest.mark.parametrize(("given", "error", "text"), BAD_RUNS, ids=lambda value: str(value)[:40])
@virtual
async def test_a_create_with_bad_input_is_refused_and_recorded_nowhere(given, error, text):
    async with opened({"echo": echo}) as runtime:
        options = {"thread_id": "t", "assistant_id": "echo", **given}
        with pytest.raises(error, match=text) as refused:
            await runtime.create_run(**options)

        assert isinstance(refused.value, CallboardError)
        assert await runtime._store.events.head() == 0
        assert await runtime._store.runs.list_inflight() == []
        assert (await runtime.supervisor.tree()).threads == ()


@virtual
async def test_an_unknown_option_is_a_type_error():
    async with opened({"echo": echo}) as runtime:
        with pytest.raises(TypeError, match="colour"):
            await runtime.create_run("t", "echo", colour="red")


BAD_CALLS = [
    (lambda r: r.cancel("r", action="maim"), "action is 'maim'"),
    (lambda r: r.list_runs("t", limit=0), "limit is 0"),
    (lambda r: r.list_runs("t", limit=10_000), "limit is 10000"),
    (lambda r: r.list_runs("t", offset=-1), "offset is -1"),
    (lambda r: r.list_runs("t", status="done"), "status is 'done'"),
    (lambda r: r.list_messages("t", before_seq=1, after_seq=2), "not both"),
    (lambda r: r.list_messages("t", before_seq=-1), "before_seq is -1"),
    (lambda r: r.list_events("t", "r", limit=0), "limit is 0"),
    (lambda r: r.cancel_many(), "give a thread_id"),
    (lambda r: r.cancel_many(status="done"), "status is 'done'"),
    (lambda r: r.drain(-1), "timeout is -1"),
    (lambda r: r.aclose(float("nan")), "timeout is nan"),
    (lambda r: r.supervisor.fail("r", 5), "error is 5"),
    (lambda r: r.cleanup("r", delay=-1), "delay is -1"),
    (lambda r: r.stream("r", heartbeat_interval=0).__anext__(), "heartbeat_interval is 0"),
    (lambda r: r.get_run(""), "run_id is ''"),
    (lambda r: r.cancel_many(run_ids="run-12"), "run_ids is 'run-12': give a list"),
    (lambda r: r.cancel_many(run_ids=5), "run_ids is 5"),
    (lambda r: r.cancel_many(run_ids=[5]), "run_id is 5"),
    (lambda r: r.cancel_many(thread_id=5), "thread_id is 5"),
    (lambda r: r.cancel_many(status="all", user_id=5), "user_id is 5"),
    (lambda r: r.search_threads(thread_ids="abc"), "thread_ids is 'abc': give a list"),
    (lambda r: r.search_threads(thread_ids=5), "thread_ids is 5"),
    (lambda r: r.search_threads(thread_ids=[5]), "thread_id is 5"),
    (lambda r: r.search_threads(offset=10**400), "offset is 1000.*give at most"),
    (lambda r: r.list_runs("t", offset=10**400), "offset is 1000.*give at most"),
    (lambda r: r.list_messages("t", before_seq=10**400), "before_seq is 1000.*give at most"),
    (lambda r: r.list_events("t", "r", after_seq="x"), "after_seq is 'x'"),
    (lambda r: r.list_events("t", "r", after_seq=-1), "after_seq is -1"),
    (lambda r: r.list_events("t", "r", categories="frame"), "categories is 'frame': give a list"),
    (lambda r: r.list_events("t", "r", categories=["x"]), "categories is 'x': choose one of"),
    (lambda r: r.list_events("t", "r", categories=5), "categories is 5"),
    (lambda r: r.list_in_flight(user_id=[]), r"user_id is \[\]"),
    (lambda r: r.get_thread("t", user_id=5), "user_id is 5"),
    (lambda r: r.delete_thread("t", user_id=5), "user_id is 5"),
    (lambda r: r.delete_run("r", user_id=5), "user_id is 5"),
    (lambda r: r.thread_status("t", user_id=5), "user_id is 5"),
    (lambda r: r.aggregate_tokens("t", user_id=5), "user_id is 5"),
    (lambda r: r.aggregate_tokens("t", include_active=5), "include_active is 5"),
    (lambda r: r.recall([]), r"run_id is \[\]"),
    (lambda r: r.recall("r", user_id=5), "user_id is 5"),
    (lambda r: r.observe(print, name=[]), r"name is \[\]"),
    (lambda r: r.observe(print, name=" "), "name is ' '"),
    (lambda r: r.observe(print, "audit"), "required is 'audit'"),
    (lambda r: r.observe(print, replay=5), "replay is 5"),
    (lambda r: r.supervisor.policy_for([]), r"assistant_id is \[\]"),
    (lambda r: r.prune(), "older_than is None: give it, or keep_per_thread"),
    (lambda r: r.prune(older_than=1e300), "older_than is 1e\\+300: give at most"),
    (lambda r: r.prune(older_than=3e11), "older_than is 3000.*give at most"),
    (lambda r: r.prune(older_than="1d"), "older_than is '1d'"),
    (lambda r: r.prune(keep_per_thread=-1), "keep_per_thread is -1"),
    (lambda r: r.prune(keep_per_thread=1.5), "keep_per_thread is 1.5"),
    (lambda r: r.prune(keep_per_thread=float("nan")), "keep_per_thread is nan"),
    (lambda r: r.prune(keep_per_thread=float("inf")), "keep_per_thread is inf"),
    (lambda r: r.prune(keep_per_thread=True), "keep_per_thread is True"),
    (lambda r: r.prune(keep_per_thread="1"), "keep_per_thread is '1'"),
]


@pytest.mark.parametrize(("call", "text"), BAD_CALLS, ids=range(len(BAD_CALLS)))
@virtual
async def test_other_calls_name_the_value_and_the_remedy(call, text):
    async with opened({"echo": echo}) as runtime:
        with pytest.raises(InvalidValue, match=text):
            await call(runtime)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"abort_grace": -1}, "abort_grace is -1"),
        ({"drain_timeout": "x"}, "drain_timeout is 'x'"),
        ({"passivate_after": float("inf")}, "passivate_after"),
        ({"max_queued_runs": -1}, "max_queued_runs is -1"),
        ({"max_queued_runs": True}, "max_queued_runs is True"),
        ({"slots": 5}, "slots is 5: give a list"),
        ({"slots": ["1"]}, "slots is '1'"),
        ({"slots": [[]]}, r"slots is \[\]"),
        ({"slots": [True]}, "slots is True"),
        ({"slots": [256]}, "slots is 256"),
        ({"settings": 5}, "settings is 5"),
        ({"settings": {}}, "settings is {}"),
        ({"kernel": 5}, "kernel is 5"),
        ({"durability": "x"}, "durability is 'x'"),
        ({"durability": None, "store": MemoryStore()}, "durability is None"),
        ({"agents": [echo]}, "agents is .*: give a mapping"),
        ({"agents": []}, r"agents is \[\]"),
        ({"store": "runs.db"}, "store is 'runs.db'"),
        ({"agents": {"": echo}}, "assistant_id is ''"),
        ({"agents": {"a": 7}}, "agent is 7"),
        ({"agents": {"a": None}}, "agent is None"),
        ({"agents": {"a": dict}}, "agent is <class 'dict'>"),
        ({"restart": 3}, "restart is 3"),
        ({"agents": {"a": Agent(echo, restart="x")}}, "restart is 'x'"),
    ],
)
def test_a_runtime_with_bad_arguments_is_not_made(options, text):
    with pytest.raises(InvalidValue, match=text):
        Runtime(**options)


@pytest.mark.parametrize(
    "options",
    [{"max_restarts": -1}, {"backoff": -1}, {"jitter": 2}, {"within": -1}, {"on_orphan": "x"}],
)
def test_a_restart_policy_with_bad_numbers_is_not_made(options):
    with pytest.raises(InvalidValue, match=next(iter(options))):
        RestartPolicy(**options)
