"""What holds for the store in memory beyond the contract: it never waits and leaks nothing."""

import asyncio
import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import Fence
from callboard.store import APPLIED, Entry, MemoryStore
from callboard.store.memory.shelf import Shelf
from tests.store.contract import (
    PENDING,
    RUNNING,
    changed,
    event,
    finish,
    frame,
    inserted,
    message,
    move,
    own,
    run,
    save,
)


class Payload(dict):
    """A payload that can be watched."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def fence(store):
    return asyncio.run(own(store))()


def contents(table):
    """How much each index of a table holds."""
    return {
        name: len(value) for name, value in vars(table).items() if hasattr(value, "__len__")
    } | {"log": sum(1 for _ in table.log(0, None)) if hasattr(table, "log") else 0}


def test_a_commit_answers_at_once_with_a_plain_list(store, fence):
    answer = store.commit([inserted(fence, run(), event())])

    assert type(answer) is list
    assert answer[0].verdict == "applied"


def test_an_entry_without_events_makes_no_new_outcome(store, fence):
    assert store.commit([inserted(fence, run())])[0] is APPLIED


def test_deleting_every_run_leaves_no_index_with_anything_in_it(store, fence):
    empty = contents(store._run_table), contents(store._event_table)
    for n in range(3):
        new = run(f"r{n}", key=f"k{n}")
        events = (event(1, f"r{n}"), message(1, f"r{n}"), frame(1, f"r{n}"))
        store.commit([inserted(fence, new, *events)])
    asyncio.run(finish(store, "r0"))
    store.commit([changed(fence, move(PENDING, RUNNING, "r1"))])

    for n in range(3):
        assert asyncio.run(store.runs.delete(f"r{n}"))

    assert (contents(store._run_table), contents(store._event_table)) == empty


def test_erasing_a_thread_leaves_no_index_with_anything_in_it(store, fence):
    empty = contents(store._run_table), contents(store._event_table)
    store.commit([inserted(fence, run(key="k"), event(), message(), frame())])
    asyncio.run(save(store, "t", "r", {"a": 1}, fence))

    store.commit([Entry(fence, erase_thread="t")])

    assert (contents(store._run_table), contents(store._event_table)) == empty
    assert store.checkpoints._saved == {}


def test_what_was_deleted_is_freed(store, fence):
    payloads = [Payload(number=n) for n in range(200)]
    watched = [weakref.ref(payload) for payload in payloads]
    for n, payload in enumerate(payloads):
        new = message(n, f"r{n}")._replace(content=payload)
        store.commit([inserted(fence, run(f"r{n}"), new)])
    del payloads, payload, new

    for n in range(0, 200, 2):
        asyncio.run(store.runs.delete(f"r{n}"))
    gc.collect()

    assert [ref() is None for ref in watched] == [n % 2 == 0 for n in range(200)]


def test_gaps_take_up_no_more_room_than_what_is_kept(store, fence):
    for n in range(1000):
        store.commit([inserted(fence, run(f"r{n}"), event(1, f"r{n}"))])
    for n in range(990):
        asyncio.run(store.runs.delete(f"r{n}"))

    shelf = store._event_table._log[event().category]
    assert len(shelf._events) < 100
    assert [kept[2].run_id for kept in shelf.after(0)] == [f"r{n}" for n in range(990, 1000)]


def test_a_thread_that_comes_back_goes_on_above_its_last_seq(store, fence):
    *_, before = asyncio.run(store.events.append([event(n) for n in range(5)]))
    store.commit([Entry(fence, erase_thread="t")])

    (after,) = asyncio.run(store.events.append([event()]))

    assert after.seq == before.seq + 1


def test_the_floor_of_seq_never_sinks_when_a_shorter_thread_goes_last(store):
    asyncio.run(store.events.append([event(1, "short", "short")]))
    *_, before = asyncio.run(store.events.append([event(n) for n in range(5)]))
    for thread_id in ("t", "short"):
        asyncio.run(store.events.delete_by_thread(thread_id))

    (after,) = asyncio.run(store.events.append([event()]))

    assert after.seq > before.seq


def test_a_store_outlives_its_owner_and_knows_the_next_one(store):
    first = asyncio.run(store.claim([0]))
    asyncio.run(store.close())
    asyncio.run(store.open())
    second = asyncio.run(store.claim([0]))

    old, new = store.commit([Entry(Fence(0, first)), Entry(Fence(0, second))])

    assert (old.verdict, new.verdict) == ("fenced", "applied")


@given(
    added=st.lists(st.integers(1, 5), max_size=200),
    data=st.data(),
)
def test_a_shelf_is_a_sorted_list(added, data):
    shelf, model, number = Shelf(), {}, 0
    for step in added:
        number += step
        model[number] = (number, number, event(number))
        shelf.add(number, model[number])
    for gone in data.draw(st.permutations(sorted(model)))[: len(model) * 3 // 4]:
        shelf.remove(gone)
        del model[gone]
    bound = data.draw(st.integers(0, number + 1))

    assert list(shelf.after(bound)) == [model[n] for n in sorted(model) if n > bound]
    assert list(shelf.before(bound)) == [model[n] for n in sorted(model, reverse=True) if n < bound]
    assert list(shelf.before(None)) == [model[n] for n in sorted(model, reverse=True)]
