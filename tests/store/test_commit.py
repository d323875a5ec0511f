"""The runtime's own way in: groups of entries, each with its fence and its verdict."""

import pytest

from callboard.domain import Fence, slot_of
from callboard.store import Entry, RunCompletion, Verdict
from tests.store.contract import (
    ERROR,
    INTERRUPTED,
    PENDING,
    RUNNING,
    SUCCESS,
    at,
    changed,
    commit,
    contract,
    event,
    ids,
    inserted,
    message,
    move,
    numbers,
    own,
    run,
    save,
)


def verdicts(outcomes):
    return [outcome.verdict.value for outcome in outcomes]


@contract
async def test_a_run_goes_from_its_creation_to_its_end_in_one_group(store):
    fence = (await own(store))()

    outcomes = await commit(
        store,
        inserted(fence, run(), event(1)),
        changed(fence, move(PENDING, RUNNING), event(2)),
        changed(fence, move(RUNNING, SUCCESS), event(3), event(4)),
    )

    assert verdicts(outcomes) == ["applied"] * 3
    assert (await store.runs.get("r")).status is SUCCESS
    assert numbers(await store.events.list_events_by_run("r")) == [1, 2, 3, 4]


@contract
async def test_an_outcome_carries_the_events_as_stored_and_where_they_are(store):
    fence = (await own(store))()

    applied, bare = await commit(
        store, inserted(fence, run(), event(1), event(2)), changed(fence, move(PENDING, RUNNING))
    )

    assert list(applied.events) == await store.events.list_events_by_run("r")
    assert applied.events[-1].position == applied.position == await store.events.head()
    assert list(applied.events[:1]) == [applied.events[0]]
    assert (len(bare.events), bare.position, bare.error) == (0, 0, None)


@contract
async def test_an_empty_group_has_no_outcomes(store):
    assert await commit(store) == []


@contract
async def test_an_entry_of_events_alone_stores_them(store):
    fence = (await own(store))()

    (outcome,) = await commit(store, Entry(fence, events=(event(1),)))

    assert outcome.verdict is Verdict.APPLIED
    assert numbers(await store.events.read()) == [1]


# Verdicts: an entry that is not applied leaves nothing behind, and touches no other.


@contract
@pytest.mark.parametrize("again", [run(), run("r", "t2"), run("r2", key="k")])
async def test_an_id_or_a_key_that_is_taken_is_a_duplicate(store, again):
    fence = await own(store, "t", "t2")
    first = run(key="k", minute=5)
    await commit(store, inserted(fence(), first))

    entry = inserted(fence(again.thread_id), again, event(9, again.run_id, again.thread_id))
    outcomes = await commit(store, entry, Entry(fence(), events=(event(2),)))

    assert verdicts(outcomes) == ["duplicate", "applied"]
    assert outcomes[0].events == ()
    assert await store.runs.get("r") == first
    assert numbers(await store.events.read()) == [2]


@contract
@pytest.mark.parametrize(
    "change",
    [move(PENDING, SUCCESS), move(SUCCESS, SUCCESS), move(ERROR, RUNNING), move(RUNNING, SUCCESS)],
)
async def test_a_change_that_does_not_fit_the_record_is_stale(store, change):
    fence = (await own(store))()
    await commit(store, inserted(fence, run()))

    outcomes = await commit(store, changed(fence, change, event(1)))

    assert verdicts(outcomes) == ["stale"]
    assert await store.runs.get("r") == run()
    assert await store.events.read() == []


@contract
async def test_a_change_of_an_unknown_run_is_stale(store):
    fence = (await own(store))()

    outcomes = await commit(store, changed(fence, move(PENDING, RUNNING), event(1)))

    assert verdicts(outcomes) == ["stale"]
    assert await store.events.read() == []


@contract
async def test_who_lost_a_slot_writes_nothing_there_any_more(store):
    former, other = (await own(store))(), (await own(store, "x"))("x")
    latter = (await own(store))()

    outcomes = await commit(
        store,
        inserted(former, run("old"), event(1, "old")),
        Entry(former, events=(event(2),)),
        inserted(latter, run("new"), event(3, "new")),
        inserted(other, run("elsewhere", "x")),
    )

    assert verdicts(outcomes) == ["fenced", "fenced", "applied", "applied"]
    assert ids(await store.runs.list_by_thread("t")) == ["new"]
    assert numbers(await store.events.read()) == [3]


@contract
@pytest.mark.parametrize("events", [(event(2),), (event(1),), ()], ids=["new", "known", "none"])
async def test_who_lost_a_slot_adds_no_event_to_what_it_wrote_before(store, events):
    former = (await own(store))()
    await commit(store, Entry(former, events=(event(1),)))
    await commit(store, Entry(former, events=(event(0),)))
    latter = (await own(store))()

    (outcome,) = await commit(store, Entry(former, events=events))
    (heir,) = await commit(store, Entry(latter, events=(event(3),)))

    assert verdicts([outcome, heir]) == ["fenced", "applied"]
    assert numbers(await store.events.read()) == [1, 0, 3]


@contract
async def test_a_fence_that_nobody_claimed_is_refused(store):
    fence = await own(store)
    future = Fence(fence().slot, fence().epoch + 1)
    unclaimed = Fence(slot_of("x"), fence().epoch)

    assert verdicts(await commit(store, Entry(future), Entry(unclaimed))) == ["fenced", "fenced"]


@contract
async def test_every_claim_raises_the_epoch_of_its_slots_to_one_number(store):
    first = await store.claim([1, 2])
    second = await store.claim([2, 3])

    assert second > first
    entries = [Entry(Fence(slot, epoch)) for slot in (1, 2, 3) for epoch in (first, second)]
    outcomes = verdicts(await commit(store, *entries))
    assert outcomes == ["applied", "fenced", "fenced", "applied", "fenced", "applied"]


UNSTORABLE = {
    "events of two threads": {"events": (event(7), event(8, "x", "t2"))},
    "a run on another thread": {"events": (event(7, "other", "t2"),)},
    "insert and change": {"insert": run("r2"), "change": move(PENDING, RUNNING)},
    "insert and erase": {"insert": run("r2"), "erase_thread": "t"},
    "change and erase": {"change": move(PENDING, RUNNING), "erase_thread": "t"},
}


@contract
@pytest.mark.parametrize("fields", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_an_entry_that_cannot_be_stored_fails_alone_and_leaves_nothing(store, fields):
    fence = (await own(store))()
    await commit(store, inserted(fence, run()), Entry(fence, events=(event(1, "other"),)))

    outcomes = await commit(
        store,
        Entry(fence, events=(event(2),)),
        Entry(fence, **fields),
        Entry(fence, events=(event(3),)),
    )

    assert verdicts(outcomes) == ["applied", "failed", "applied"]
    assert outcomes[1].error
    assert numbers(await store.events.read()) == [1, 2, 3]
    assert await store.runs.list_by_thread("t") == [run()]


# A group of unknown fate is committed again.


@contract
async def test_a_group_committed_again_is_applied_again_and_written_once(store):
    fence = (await own(store))()
    await commit(store, inserted(fence, run(), event(1)))
    group = [
        changed(fence, move(PENDING, RUNNING, attempt=1), event(2)),
        changed(fence, move(RUNNING, RUNNING), message(1)),
        changed(fence, move(RUNNING, SUCCESS), event(3), event(4)),
        Entry(fence, events=(event(5),)),
    ]
    first = await commit(store, *group)
    record, log = await store.runs.get("r"), await store.events.read()

    second = await commit(store, *group)

    assert verdicts(second) == ["applied"] * 4
    assert [list(o.events) for o in second] == [list(o.events) for o in first]
    assert [o.position for o in second] == [o.position for o in first]
    assert await store.runs.get("r") == record
    assert await store.events.read() == log


@contract
async def test_an_insert_committed_again_is_applied_again_and_written_once(store):
    fence = (await own(store))()
    entry = inserted(fence, run(), event(1))
    await commit(store, entry)

    assert verdicts(await commit(store, entry, entry)) == ["applied", "applied"]
    assert numbers(await store.events.read()) == [1]


@contract
async def test_the_insert_of_somebody_else_under_the_same_id_is_a_duplicate(store):
    fence = (await own(store))()
    await commit(store, inserted(fence, run(), event(1)))

    later = inserted(fence, run(), event(1, created_at=at(5)))
    elsewhere = inserted(fence, run(thread_id="u"), event(1, thread_id="u"))
    assert verdicts(await commit(store, later, elsewhere)) == ["duplicate", "duplicate"]
    assert [e.thread_id for e in await store.events.read()] == ["t"]


@contract
async def test_without_events_nothing_tells_whose_an_insert_was(store):
    fence = (await own(store))()

    entry = inserted(fence, run())
    assert verdicts(await commit(store, entry, entry)) == ["applied", "duplicate"]


@contract
async def test_another_end_under_the_same_event_id_is_stale(store):
    fence = (await own(store))()
    await commit(store, inserted(fence, run(status=RUNNING)))
    await commit(store, changed(fence, move(RUNNING, SUCCESS), event(1, kind="run_completed")))

    rival = changed(fence, move(RUNNING, INTERRUPTED), event(1, kind="run_cancelled"))

    assert verdicts(await commit(store, rival)) == ["stale"]
    assert (await store.runs.get("r")).status is SUCCESS


@contract
async def test_an_end_of_which_only_a_part_is_stored_is_stale(store):
    fence = (await own(store))()
    await commit(store, inserted(fence, run(status=SUCCESS), event(1)))

    rival = changed(fence, move(RUNNING, ERROR), event(1), event(2))

    assert verdicts(await commit(store, rival)) == ["stale"]
    assert numbers(await store.events.read()) == [1]


# Erasing a thread.


@contract
async def test_an_erased_thread_leaves_no_trace_and_its_neighbours_stay(store):
    fence = await own(store, "t", "t2")
    await commit(
        store,
        inserted(fence(), run(key="k"), event(1), message(1)),
        inserted(fence("t2"), run("r2", "t2"), event(1, "r2", "t2")),
    )
    await save(store, "t", "r", {"a": 1}, fence())

    assert verdicts(await commit(store, Entry(fence(), erase_thread="t"))) == ["applied"]

    assert await store.runs.list_by_thread("t") == []
    assert (await store.runs.load_thread("t")).owner is None
    assert await store.runs.find_by_key("t", "k") is None
    assert await store.checkpoints.load("t") is None
    assert await store.events.list_messages("t") == []
    assert ids(await store.runs.list_inflight()) == ["r2"]
    assert [e.thread_id for e in await store.events.read()] == ["t2"]


@contract
async def test_erasing_an_unknown_thread_is_a_no_op(store):
    fence = (await own(store))()

    assert verdicts(await commit(store, Entry(fence, erase_thread="t"))) == ["applied"]


@contract
async def test_a_completion_of_a_change_is_stored_with_it(store):
    fence = (await own(store))()
    await commit(store, inserted(fence, run(status=RUNNING)))

    await commit(
        store, changed(fence, move(RUNNING, SUCCESS, completion=RunCompletion(output=[1])))
    )

    assert (await store.runs.get("r")).output == [1]
