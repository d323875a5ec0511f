"""Every error says what to do, says whether to try again, and pickles."""

import pickle

import pytest

import callboard
import callboard.actors
import callboard.observers
import callboard.store  # noqa: F401 - all errors there are must be defined
from callboard.actors.attempt import AgentExited
from callboard.actors.executors.langgraph_unstorable import UnstorableState
from callboard.domain import conflicts, errors, store_errors

SAMPLES = [
    errors.CallboardError("something"),
    errors.InvalidValue("limit", 0, "give a number from 1 to 1000"),
    errors.InvalidIdentifier("run_id", " ", "is blank"),
    errors.UnserialisablePayload("input.a", "a set", "give JSON"),
    errors.UnsupportedStrategyError("multitask_strategy", "maybe", "choose one"),
    errors.Conflict("a conflict"),
    errors.Unavailable("try again"),
    errors.Fenced("this runtime must end"),
    errors.NotFound("nothing"),
    conflicts.InvalidRunTransition("success", "running"),
    conflicts.ConflictError("t", "r"),
    conflicts.ThreadBusy("t", "r"),
    conflicts.ThreadNotShared("t", "temporary"),
    conflicts.RunInFlight("r"),
    conflicts.IdempotencyConflict("run_id", "r"),
    conflicts.QueueFullError("t", 3),
    conflicts.ThreadExists("t"),
    conflicts.ThreadQuarantined("t", "ValueError: x"),
    errors.RunNotFound("r"),
    errors.ThreadNotFound("t"),
    errors.UnknownAgent("a", ("b", "c")),
    errors.AgentFault("the factory of graph 'g'", "KeyError: 'who'"),
    errors.RuntimeClosed("closed"),
    errors.RuntimeStarted(),
    errors.WrongLoop(),
    errors.RuntimeBusy("thread 't'", 10),
    errors.ActorCrashed("thread 't'", "ValueError: x"),
    store_errors.StoreUnavailable("run 'r'", "disk full"),
    store_errors.OutcomeUnknown("run 'r'", "connection lost"),
    store_errors.SlotNotOwned("t", 7),
    *(
        kind("'runs.db'", "process 7 on host 'h' has it open", "Stop that process")
        for kind in (
            store_errors.StoreUnusable,
            store_errors.StoreOwned,
            store_errors.StoreCorrupt,
            store_errors.StoreReadOnly,
            store_errors.StoreTooNew,
            store_errors.StoreOutdated,
            store_errors.StoreRegressed,
        )
    ),
    errors.WouldDeadlock(),
    errors.RunAborted("interrupt"),
    errors.AttemptFenced("r"),
    AgentExited("SystemExit(1)"),
    UnstorableState("got", "TypeError: NotJson"),
]
FREE = {
    errors.CallboardError,
    errors.Conflict,
    errors.Unavailable,
    errors.Fenced,
    errors.NotFound,
    AgentExited,
}
"""Their text is given by who raises them."""


def name(error):
    return type(error).__name__


def all_errors(kind=errors.CallboardError):
    found = {kind}
    for child in kind.__subclasses__():
        found |= all_errors(child)
    return {kind for kind in found if kind.__module__.startswith("callboard.")}


def test_there_is_a_sample_of_every_error():
    assert {type(sample) for sample in SAMPLES} == all_errors()


@pytest.mark.parametrize("error", SAMPLES, ids=name)
def test_an_error_pickles_with_its_data_and_its_words(error):
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (again.args, str(again)) == (error.args, str(error))


@pytest.mark.parametrize("error", [e for e in SAMPLES if type(e) not in FREE], ids=name)
def test_a_message_ends_with_what_to_do(error):
    case, _, remedy = str(error).rpartition(": ")

    assert case
    assert remedy.endswith(".")
    assert remedy[0].islower()


@pytest.mark.parametrize("error", [e for e in SAMPLES if vars(e)], ids=name)
def test_a_message_holds_the_data_it_is_about(error):
    for value in vars(error).values():
        parts = value if isinstance(value, tuple) else (value,)
        assert all(str(part) in str(error) for part in parts)


@pytest.mark.parametrize("error", SAMPLES, ids=name)
def test_an_error_says_one_thing_of_what_the_caller_may_do(error):
    bases = (errors.Conflict, errors.Unavailable, errors.Fenced, errors.NotFound)

    assert sum(isinstance(error, base) for base in bases) <= 1


def test_errors_of_lookup_and_value_are_what_python_calls_them():
    assert issubclass(errors.NotFound, LookupError)
    assert issubclass(errors.InvalidValue, ValueError)
    assert issubclass(errors.UnserialisablePayload, TypeError)


def test_a_long_value_is_cut_in_the_message_and_whole_in_the_attribute():
    error = errors.InvalidValue("config", "x" * 10_000, "give less")

    assert len(str(error)) < 300
    assert str(error).endswith("give less.")
    assert len(error.value) == 10_000


def test_a_number_too_long_to_be_written_has_a_message_all_the_same():
    assert str(errors.InvalidValue("limit", 10**5000, "give less")).startswith(
        "limit is a very long int: "
    )


def test_the_list_of_known_agents_may_be_empty():
    assert "(known: none)" in str(errors.UnknownAgent("a", ()))
