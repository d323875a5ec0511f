"""The closed sets of words, and the folder's table of contents."""

import importlib
import pkgutil
from enum import StrEnum

import pytest

import callboard.domain
import callboard.store
from callboard.domain import IN_FLIGHT, TERMINAL, RunStatus, enums

WORDS = {
    "RunStatus": "pending running success error timeout interrupted",
    "MultitaskStrategy": "reject interrupt rollback enqueue",
    "MultitaskDecision": "allow reject cancel_existing enqueue",
    "CancelAction": "interrupt rollback",
    "DisconnectMode": "cancel continue",
    "RunScope": "stateful stateless temporary_thread",
    "ThreadStatus": "idle busy interrupted error",
    "LifecycleEventType": "run_created run_started run_restarted run_completed run_failed "
    "run_cancelled human_message thread_status_updated",
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_closed_set_holds_the_agreed_words(kind):
    assert [word.value for word in getattr(enums, kind)] == WORDS[kind].split()


def test_every_status_is_either_in_flight_or_terminal():
    assert set(RunStatus) == IN_FLIGHT | TERMINAL
    assert not IN_FLIGHT & TERMINAL
    assert {status for status in RunStatus if status.is_terminal} == TERMINAL


def test_words_fit_the_columns_they_are_stored_in():
    for kind in vars(enums).values():
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            assert all(len(word) <= 32 for word in kind)
    assert all(len(category) <= 16 for category in enums.EventCategory)


@pytest.mark.parametrize("package", [callboard.domain, callboard.store])
def test_a_table_of_contents_is_sorted_and_complete(package):
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


def test_every_public_class_of_the_domain_is_in_its_table_of_contents():
    public = set()
    for module in pkgutil.iter_modules(callboard.domain.__path__):
        content = vars(importlib.import_module(f"callboard.domain.{module.name}"))
        public |= {
            name
            for name, thing in content.items()
            if isinstance(thing, type)
            and thing.__module__ == f"callboard.domain.{module.name}"
            and not name.startswith("_")
        }

    assert public <= set(callboard.domain.__all__)
