"""The state of plain agents: saved, loaded, taken back."""

import pytest

from callboard.domain import Fenced
from tests.store.contract import contract, drop, own, put, run, save


@contract
async def test_a_thread_that_saved_nothing_has_no_state(store):
    assert await store.checkpoints.load("t") is None


@contract
async def test_the_state_is_what_was_saved_last(store):
    fence = (await own(store))()
    for step in range(3):
        await save(store, "t", "r", {"step": step}, fence)

    assert await store.checkpoints.load("t") == {"step": 2}
    assert await store.checkpoints.load("t2") is None


@contract
async def test_dropping_a_runs_state_brings_back_the_one_before_it(store):
    fence = (await own(store))()
    await save(store, "t", "r1", "before", fence)
    await save(store, "t", "r2", "during", fence)
    await save(store, "t", "r2", "later", fence)

    await drop(store, "t", "r2", fence)

    assert await store.checkpoints.load("t") == "before"


@contract
async def test_dropping_the_first_state_leaves_none(store):
    fence = (await own(store))()
    await save(store, "t", "r", "during", fence)

    await drop(store, "t", "r", fence)
    await drop(store, "t", "r", fence)

    assert await store.checkpoints.load("t") is None


@contract
async def test_dropping_for_a_run_that_saved_nothing_changes_nothing(store):
    fence = (await own(store))()
    await save(store, "t", "r1", "kept", fence)

    await drop(store, "t", "r2", fence)
    await drop(store, "t2", "r1", fence)

    assert await store.checkpoints.load("t") == "kept"


@contract
async def test_one_run_after_another_can_be_taken_back(store):
    fence = (await own(store))()
    for number in range(5):
        await save(store, "t", f"r{number}", number, fence)
        if number % 2:
            await drop(store, "t", f"r{number}", fence)

    assert await store.checkpoints.load("t") == 4
    await drop(store, "t", "r4", fence)
    assert await store.checkpoints.load("t") == 2


@contract
async def test_a_saved_state_changes_only_by_saving(store):
    fence = (await own(store))()
    state = {"list": [1]}
    await save(store, "t", "r", state, fence)
    state["list"].append(2)
    (await store.checkpoints.load("t"))["list"].append(3)

    assert await store.checkpoints.load("t") == {"list": [1]}


@contract
async def test_who_lost_the_slot_neither_saves_nor_drops(store):
    former = (await own(store))()
    await save(store, "t", "r", "kept", former)
    await own(store)

    with pytest.raises(Fenced):
        await save(store, "t", "r", "late", former)
    with pytest.raises(Fenced):
        await drop(store, "t", "r", former)

    assert await store.checkpoints.load("t") == "kept"


@contract
async def test_a_thread_whose_runs_are_deleted_keeps_its_owner_with_its_state(store):
    fence = (await own(store))()
    await put(store, run(user="anna"))
    await save(store, "t", "r", "anna's", fence)

    await store.runs.delete("r")

    assert (await store.runs.load_thread("t")).owner == "anna"
    assert await store.checkpoints.load("t") == "anna's"


@contract
async def test_a_thread_without_runs_and_state_is_free_again(store):
    fence = (await own(store))()
    await put(store, run(user="anna"))
    await save(store, "t", "r", "anna's", fence)
    await drop(store, "t", "r", fence)

    await store.runs.delete("r")
    await put(store, run("r2", user="bert"))

    assert (await store.runs.load_thread("t")).owner == "bert"
