"""The event log: appending, reading, deleting."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.domain import InvalidValue
from tests.store.contract import (
    FRAME,
    LIFECYCLE,
    MESSAGE,
    contract,
    event,
    frame,
    message,
    numbers,
    put,
    run,
)


def seqs(events):
    return [stored.seq for stored in events]


def positions(events):
    return [stored.position for stored in events]


def strictly_ascend(values):
    return all(a < b for a, b in itertools.pairwise(values))


@contract
async def test_a_new_log_is_empty(store):
    assert await store.events.head() == 0
    assert await store.events.read() == []
    assert await store.events.append([]) == []


@contract
@pytest.mark.parametrize("content", [None, True, 1.5, "text", ["a", {"b": []}], {"ü": [1, None]}])
async def test_an_event_is_read_as_it_was_appended(store, content):
    new = event(3, content=content, metadata={"m": [1]})

    (appended,) = await store.events.append([new])

    assert await store.events.list_events_by_run("r") == [appended]
    for name in new._fields:
        assert getattr(appended, name) == getattr(new, name), name


@contract
async def test_an_event_without_metadata_is_read_with_empty_metadata(store):
    (appended,) = await store.events.append([event()])

    assert appended.metadata == {}


@contract
async def test_a_batch_is_stored_in_order_and_in_one_piece(store):
    appended = await store.events.append([event(n) for n in (1, 2, 3)])

    assert numbers(appended) == [1, 2, 3]
    assert seqs(appended) == list(range(appended[0].seq, appended[0].seq + 3))
    assert strictly_ascend(positions(appended))
    assert await store.events.head() == appended[-1].position


@contract
async def test_an_event_id_that_is_there_already_changes_nothing_and_answers_what_is_stored(store):
    first = await store.events.append([event(1), event(2)])

    again = await store.events.append([event(2, kind="other"), event(3)])

    assert again[0] == first[1]
    assert numbers(await store.events.read()) == [1, 2, 3]


@contract
async def test_an_event_id_twice_in_one_batch_is_stored_once(store):
    one, two = await store.events.append([event(1), event(1)])

    assert one == two
    assert await store.events.read() == [one]


@contract
async def test_a_batch_that_mixes_threads_is_refused_whole(store):
    with pytest.raises(InvalidValue, match="one thread at a time"):
        await store.events.append([event(1), event(2, "r2", "t2")])

    assert await store.events.read() == []


@contract
async def test_a_run_keeps_to_one_thread(store):
    await store.events.append([event(1, "r", "t")])

    with pytest.raises(InvalidValue, match="'r' is on thread 't'"):
        await store.events.append([event(2, "r", "t2")])

    assert len(await store.events.read()) == 1


@contract
async def test_seq_goes_on_across_the_runs_of_a_thread_and_apart_from_other_threads(store):
    mine = await store.events.append([event(1, "r1")])
    others = await store.events.append([event(n, "x", "t2") for n in range(5)])
    mine += await store.events.append([event(1, "r2")])
    mine += await store.events.append([event(2, "r1")])

    assert seqs(mine) == list(range(mine[0].seq, mine[0].seq + 3))
    assert strictly_ascend(seqs(others))


@contract
async def test_concurrent_batches_of_a_thread_do_not_mix_and_no_seq_is_given_twice(store):
    batches = await asyncio.gather(
        *(store.events.append([event(n, f"r{b}") for n in range(3)]) for b in range(10))
    )

    given_out = sorted(seq for batch in batches for seq in seqs(batch))
    assert given_out == list(range(given_out[0], given_out[0] + 30))
    for batch in batches:
        assert seqs(batch) == list(range(batch[0].seq, batch[0].seq + 3))


@contract
async def test_events_of_a_run_are_listed_in_order_after_a_seq_up_to_a_limit(store):
    stored = await store.events.append([event(n) for n in range(6)])
    await store.events.append([event(9, "r2")])

    async def listed(**page):
        return numbers(await store.events.list_events_by_run("r", **page))

    assert await listed() == [0, 1, 2, 3, 4, 5]
    assert await listed(after_seq=stored[2].seq) == [3, 4, 5]
    assert await listed(after_seq=stored[2].seq, limit=2) == [3, 4]
    assert await listed(after_seq=stored[-1].seq) == []


@contract
async def test_types_categories_and_after_seq_narrow_together(store):
    kinds = ["run_created", "run_started"] * 3
    stored = await store.events.append(
        [event(n, kind=kind) for n, kind in enumerate(kinds)] + [message(9, role="run_created")]
    )

    async def listed(**narrowed):
        return numbers(await store.events.list_events_by_run("r", **narrowed))

    assert await listed(types=["run_created"]) == [0, 2, 4, 9]
    assert await listed(types=["run_created"], limit=2) == [0, 2]
    assert await listed(types=["run_created"], categories=[LIFECYCLE]) == [0, 2, 4]
    assert await listed(types=["run_created"], after_seq=stored[0].seq, limit=2) == [2, 4]
    assert await listed(categories=[MESSAGE, FRAME]) == [9]
    assert await listed(types=[]) == []


@contract
async def test_categories_may_be_given_by_their_names(store):
    await store.events.append([event(1), message(2), frame(3)])

    assert numbers(await store.events.list_events_by_run("r", categories=["message"])) == [2]
    assert numbers(await store.events.read(category="frame")) == [3]


@contract
@pytest.mark.parametrize(
    "narrowed",
    [{"types": "run_created"}, {"types": 5}, {"categories": "frame"}, {"categories": ["other"]}],
    ids=str,
)
async def test_what_narrows_nothing_is_refused(store, narrowed):
    (name,) = narrowed

    with pytest.raises(InvalidValue, match=f"{name} is"):
        await store.events.list_events_by_run("r", **narrowed)


@contract
async def test_frames_are_listed_by_their_own_number(store):
    await store.events.append([frame(2), frame(3), event(1), frame(5)])
    await store.events.append([frame(1), frame(1, "r2")])

    async def listed(**page):
        return numbers(await store.events.list_frames("r", **page))

    assert await listed() == [1, 2, 3, 5]
    assert await listed(after=2) == [3, 5]
    assert await listed(after=4, limit=1) == [5]
    assert await listed(after=5) == []
    assert await store.events.list_frames("unknown") == []


@contract
async def test_the_whole_log_is_read_by_position_page_by_page(store):
    await store.events.append([event(1), message(2), frame(3)])
    await store.events.append([event(4, "x", "t2"), frame(5, "x", "t2"), message(6, "x", "t2")])

    first = await store.events.read(limit=4)
    second = await store.events.read(after=first[-1].position, limit=4)

    assert [numbers(first), numbers(second)] == [[1, 2, 3, 4], [5, 6]]
    assert second[-1].position == await store.events.head()
    assert await store.events.read(after=second[-1].position) == []


@contract
async def test_one_category_of_the_log_is_read_without_the_others(store):
    stored = await store.events.append([event(1), message(2), frame(3), event(4), event(5)])

    async def read(**page):
        return numbers(await store.events.read(category=LIFECYCLE, **page))

    assert await read() == [1, 4, 5]
    assert await read(limit=2) == [1, 4]
    assert await read(after=stored[0].position) == [4, 5]


# Deleting.


@contract
async def test_deletions_tell_how_many_events_there_were(store):
    await store.events.append([event(1, "r1"), message(2, "r1"), frame(3, "r1"), event(4, "r2")])

    assert await store.events.delete_by_run("r1") == 3
    assert await store.events.delete_by_run("r1") == 0
    assert await store.events.delete_by_thread("t") == 1
    assert await store.events.delete_by_thread("t") == 0


@contract
async def test_a_deleted_runs_events_are_gone_from_every_list_and_others_stay(store):
    await store.events.append([event(1, "r1"), message(2, "r1"), frame(3, "r1")])
    await store.events.append([event(4, "r2"), message(5, "r2"), frame(6, "r2")])

    await store.events.delete_by_run("r1")

    assert await store.events.list_events_by_run("r1") == []
    assert await store.events.list_messages_by_run("r1") == []
    assert await store.events.list_frames("r1") == []
    assert numbers(await store.events.list_messages("t")) == [5]
    assert numbers(await store.events.read()) == [4, 5, 6]
    assert numbers(await store.events.read(category=FRAME)) == [6]


@contract
async def test_a_deleted_threads_events_are_gone_and_other_threads_stay(store):
    await store.events.append([event(1, "r1"), message(2, "r1"), frame(3, "r2")])
    await store.events.append([event(4, "x", "t2")])

    await store.events.delete_by_thread("t")

    assert await store.events.list_messages("t") == []
    assert await store.events.list_events_by_run("r1") == []
    assert await store.events.list_frames("r2") == []
    assert numbers(await store.events.read()) == [4]


@contract
async def test_an_event_may_be_appended_again_once_it_was_deleted(store):
    (before,) = await store.events.append([event(1)])
    await store.events.delete_by_run("r")

    (after,) = await store.events.append([event(1)])

    assert after.seq > before.seq
    assert after.position > before.position


@contract
async def test_deleting_events_leaves_the_record(store):
    await put(store, run())
    await store.events.append([event(1)])

    await store.events.delete_by_run("r")
    await store.events.delete_by_thread("t")

    assert await store.runs.get("r") == run()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 5), st.integers(1, 4)),
        st.tuples(st.just("delete run"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("delete thread"), st.integers(0, 5), st.just(0)),
    ),
    max_size=40,
)


@given(steps=steps)
@contract
async def test_seq_and_position_never_go_back_whatever_is_appended_and_deleted(store, steps):
    given_out, kept = {"t0": [], "t1": []}, []
    for count, (step, chosen, size) in enumerate(steps):
        run_id, thread_id = f"r{chosen}", f"t{chosen % 2}"
        if step == "append":
            batch = [event(100 * count + n, run_id, thread_id) for n in range(size)]
            kept += await store.events.append(batch)
            given_out[thread_id] += kept[-size:]
        elif step == "delete run":
            await store.events.delete_by_run(run_id)
            kept = [e for e in kept if e.run_id != run_id]
        else:
            await store.events.delete_by_thread(thread_id)
            kept = [e for e in kept if e.thread_id != thread_id]

    for events in given_out.values():
        assert strictly_ascend(seqs(events))
        assert strictly_ascend(positions(events))
    assert await store.events.read(limit=1000) == kept
