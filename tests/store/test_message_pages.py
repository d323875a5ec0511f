"""Pages of messages, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.contract import contract, event, frame, message, numbers


async def fill(store, count, run_id="r", first=1):
    """Messages, with other events between them."""
    stored = []
    for number in range(first, first + count):
        await store.events.append([event(number, run_id), frame(number, run_id)])
        stored += await store.events.append([message(number, run_id)])
    return stored


@contract
async def test_without_bounds_it_is_the_newest_page_ascending(store):
    await fill(store, 5)

    assert numbers(await store.events.list_messages("t", limit=2)) == [4, 5]
    assert numbers(await store.events.list_messages_by_run("r", limit=2)) == [4, 5]
    assert numbers(await store.events.list_messages("t")) == [1, 2, 3, 4, 5]
    assert await store.events.list_messages("unknown") == []
    assert await store.events.list_messages_by_run("unknown") == []


@contract
@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"before": 4}, [2, 3]),
        ({"before": 2}, [1]),
        ({"before": 1}, []),
        ({"after": 1}, [2, 3]),
        ({"after": 4}, [5]),
        ({"after": 5}, []),
        ({"after": 1, "before": 3}, [2]),
        ({"after": 1, "before": 5}, [2, 3]),
    ],
)
async def test_bounds_are_exclusive_and_the_page_is_next_to_them(store, bounds, expected):
    stored = await fill(store, 5)
    seq_of = {message.content["number"]: message.seq for message in stored}
    page = {f"{side}_seq": seq_of[number] for side, number in bounds.items()}

    assert numbers(await store.events.list_messages("t", limit=2, **page)) == expected
    assert numbers(await store.events.list_messages_by_run("r", limit=2, **page)) == expected


@contract
async def test_a_run_narrows_a_threads_messages_to_its_own(store):
    await fill(store, 2, "r1")
    await fill(store, 2, "r2", first=3)
    await fill(store, 1, "r1", first=5)

    assert numbers(await store.events.list_messages("t")) == [1, 2, 3, 4, 5]
    assert numbers(await store.events.list_messages("t", run_id="r1")) == [1, 2, 5]
    assert numbers(await store.events.list_messages_by_run("r2")) == [3, 4]
    assert await store.events.list_messages("t2", run_id="r1") == []
    assert await store.events.list_messages("t", run_id="unknown") == []


MOST_PAGES = 30
"""More than any of these tests has."""


async def forward(page_of, limit):
    """All messages from the first on, with a probe beyond each page as callers do it."""
    seen, after = [], 0
    for _ in range(MOST_PAGES):
        page = await page_of(limit=limit + 1, after_seq=after)
        seen += page[:limit]
        if len(page) <= limit:
            return seen
        after = page[limit - 1].seq
    raise AssertionError("the pages do not end")


async def backward(page_of, limit):
    """All messages from the newest back, with a probe beyond each page."""
    seen, before = [], None
    for _ in range(MOST_PAGES):
        page = await page_of(limit=limit + 1, before_seq=before)
        seen = page[-limit:] + seen
        if len(page) <= limit:
            return seen
        before = seen[0].seq
    raise AssertionError("the pages do not end")


appended = st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=25)
deleted = st.sets(st.integers(0, 2), max_size=1)


@given(appended=appended, deleted=deleted, limit=st.integers(1, 6))
@contract
async def test_paging_either_way_neither_misses_nor_repeats(store, appended, deleted, limit):
    expected = []
    for number, (chosen, is_message) in enumerate(appended):
        new = (message if is_message else event)(number, f"r{chosen}")
        await store.events.append([new])
        if is_message and chosen not in deleted:
            expected.append(number)
    for chosen in deleted:
        await store.events.delete_by_run(f"r{chosen}")

    async def page_of(**page):
        return await store.events.list_messages("t", **page)

    assert numbers(await forward(page_of, limit)) == expected
    assert numbers(await backward(page_of, limit)) == expected


@given(count=st.integers(0, 15), limit=st.integers(1, 6))
@contract
async def test_paging_through_a_run_either_way_neither_misses_nor_repeats(store, count, limit):
    await fill(store, count)

    async def page_of(**page):
        return await store.events.list_messages_by_run("r", **page)

    assert numbers(await forward(page_of, limit)) == list(range(1, count + 1))
    assert numbers(await backward(page_of, limit)) == list(range(1, count + 1))
