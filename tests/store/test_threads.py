"""The records of threads: created by themselves or by their runs, found, changed, erased."""

from dataclasses import replace

import pytest

from callboard.domain import InvalidValue, RunScope, SearchThreadsQuery, ThreadStatus
from callboard.store import Entry, PatchThread, PutThread, Verdict
from tests.store.contract import (
    ERROR,
    SUCCESS,
    at,
    commit,
    contract,
    finish,
    own,
    put,
    run,
)


async def record(store, fence, thread_id="t", *, minute=0, user=None, **metadata):
    """Record a thread. Returns the store's verdict."""
    entry = Entry(fence(thread_id), thread=PutThread(thread_id, user, metadata, at(minute)))
    (outcome,) = await commit(store, entry)
    return outcome.verdict


async def patch(store, fence, thread_id="t", *, minute=9, **metadata):
    entry = Entry(fence(thread_id), thread=PatchThread(thread_id, metadata, at(minute)))
    (outcome,) = await commit(store, entry)
    return outcome.verdict


async def found(store, **criteria):
    """The ids of the threads that a search finds; as many as a count says."""
    query = SearchThreadsQuery(**criteria)
    threads = await store.threads.search(query)
    if not query.offset:
        assert await store.threads.count(query) >= len(threads)
    return [thread.thread_id for thread in threads]


@contract
async def test_a_recorded_thread_is_there_before_it_has_a_run(store):
    fence = await own(store)

    assert await record(store, fence, user="ann", topic="tea") is Verdict.APPLIED

    thread = await store.threads.get("t")
    assert (thread.user_id, thread.metadata) == ("ann", {"topic": "tea"})
    assert (thread.created_at, thread.updated_at) == (at(), at())
    assert (thread.status, thread.last_run_id) == (ThreadStatus.IDLE, None)
    assert (await store.runs.load_thread("t")).owner == "ann"


@contract
async def test_a_thread_is_recorded_once(store):
    fence = await own(store, "t", "u")
    await record(store, fence, topic="tea")
    await put(store, run("r", "u"))

    assert await record(store, fence, topic="milk") is Verdict.DUPLICATE
    assert await record(store, fence, "u") is Verdict.DUPLICATE
    assert (await store.threads.get("t")).metadata == {"topic": "tea"}


@contract
async def test_a_thread_that_its_runs_made_is_there_as_long_as_they_are(store):
    await put(store, run("r", user="ann", minute=1), run("s", user="ann", minute=2))

    thread = await store.threads.get("t")
    assert (thread.user_id, thread.created_at, thread.updated_at) == ("ann", at(1), at(2))

    await store.runs.delete("r")
    await store.runs.delete("s")
    assert await store.threads.get("t") is None


@contract
async def test_a_recorded_thread_stays_with_its_owner_when_its_runs_are_deleted(store):
    await record(store, await own(store), user="ann")
    await put(store, run("r", user="ann"))

    await store.runs.delete("r")

    assert (await store.threads.get("t")).user_id == "ann"
    assert (await store.runs.load_thread("t")).owner == "ann"


@contract
async def test_a_threads_status_is_what_its_runs_make_it(store):
    await record(store, await own(store))

    async def status():
        thread = await store.threads.get("t")
        assert await found(store, status=thread.status) == ["t"]
        return str(thread.status)

    await put(store, run("r"))
    assert await status() == "busy"
    await finish(store, "r", ERROR)
    assert await status() == "error"
    await put(store, run("s", minute=2))
    assert await status() == "busy"
    await finish(store, "s", SUCCESS, minute=3)
    assert await status() == "idle"
    await put(store, run("q", minute=4, status=SUCCESS, completion_data={"interrupts": []}))
    thread = await store.threads.get("t")
    assert thread.last_run_id in ("s", "q")


@contract
async def test_a_run_that_stopped_for_a_human_leaves_its_thread_interrupted(store):
    stopped = {"status": SUCCESS, "finished_at": at(1), "completion_data": {"interrupts": []}}
    await put(store, run("r", **stopped))

    thread = await store.threads.get("t")

    assert (thread.status, thread.last_run_id) == (ThreadStatus.INTERRUPTED, "r")
    assert await found(store, status="interrupted") == ["t"]
    assert await found(store, status="idle") == []


@contract
async def test_a_patch_sets_keys_and_leaves_the_others(store):
    fence = await own(store)
    await record(store, fence, a=1, b={"c": 2})

    assert await patch(store, fence, b=3, d=None) is Verdict.APPLIED

    thread = await store.threads.get("t")
    assert thread.metadata == {"a": 1, "b": 3, "d": None}
    assert (thread.created_at, thread.updated_at) == (at(), at(9))


@contract
async def test_a_patch_gives_a_thread_of_runs_a_record_and_no_thread_none(store):
    fence = await own(store, "t", "u")
    await put(store, run("r", user="ann", minute=1))

    assert await patch(store, fence, topic="tea") is Verdict.APPLIED
    assert await patch(store, fence, "u", topic="tea") is Verdict.STALE

    thread = await store.threads.get("t")
    assert (thread.user_id, thread.created_at) == ("ann", at(1))
    assert await store.threads.get("u") is None


@contract
async def test_an_erased_thread_is_gone_with_its_record(store):
    fence = await own(store)
    await record(store, fence, user="ann")
    await put(store, run("r", user="ann"))

    await commit(store, Entry(fence(), erase_thread="t"))

    assert await store.threads.get("t") is None
    assert await record(store, fence, user="bob") is Verdict.APPLIED


@contract
async def test_what_belongs_to_others_does_not_exist(store):
    fence = await own(store, "t", "u")
    await record(store, fence, user="ann")
    await record(store, fence, "u", user="bob")

    assert await store.threads.get("t", user_id="bob") is None
    assert await found(store, user_id="bob") == ["u"]
    assert await store.threads.count(SearchThreadsQuery(user_id="bob")) == 1
    assert sorted(await found(store)) == ["t", "u"]


@contract
async def test_metadata_is_searched_by_what_it_contains(store):
    fence = await own(store, "t", "u", "v")
    await record(store, fence, kind="chat", tags=["a", "b"], deep={"x": 1, "y": "z"})
    await record(store, fence, "u", kind="1", count=1)
    await put(store, run("r", "v"))

    assert await found(store, metadata={"kind": "chat"}) == ["t"]
    assert await found(store, metadata={"kind": 1}) == []
    assert await found(store, metadata={"kind": "1", "count": 1}) == ["u"]
    assert await found(store, metadata={"tags": ["b"], "deep": {"y": "z"}}) == ["t"]
    assert await found(store, metadata={'odd "key"': "x"}) == []
    assert await store.threads.count(SearchThreadsQuery(metadata={"count": 1})) == 1
    assert await store.threads.count(SearchThreadsQuery(metadata={"kind": "chat"})) == 1


@contract
async def test_a_search_is_sorted_and_cut_into_pages(store):
    names = ("a", "b", "c", "d")
    fence = await own(store, *names)
    for minute, name in enumerate(names):
        await record(store, fence, name, minute=minute, n=1)
    await put(store, run("r", "b", minute=8))

    assert await found(store) == ["b", "d", "c", "a"]
    assert await found(store, sort_by="created_at", descending=False) == ["a", "b", "c", "d"]
    assert await found(store, sort_by="thread_id", limit=2, offset=1) == ["c", "b"]
    assert await found(store, sort_by="status", descending=False, limit=1) == ["b"]
    assert await found(store, metadata={"n": 1}, limit=2, offset=1) == ["d", "c"]
    assert await found(store, thread_ids=("d", "x", "a")) == ["d", "a"]
    assert await store.threads.count(SearchThreadsQuery(limit=1)) == 4


@pytest.mark.parametrize(
    "criteria",
    [{"limit": 0}, {"offset": -1}, {"sort_by": "colour"}, {"status": "sad"}, {"metadata": [1]}],
)
def test_a_search_that_cannot_be_used_is_refused(criteria):
    with pytest.raises(InvalidValue, match=next(iter(criteria))):
        SearchThreadsQuery(**criteria)


@contract
async def test_a_thread_goes_with_its_runs_or_stays(store):
    own_thread, goes = await own(store, "bare"), run("r1", "goes")
    scope = RunScope.TEMPORARY_THREAD
    await put(store, replace(goes, request=replace(goes.request, scope=scope)), run("r2", "stays"))
    await record(store, own_thread, "bare")

    async def temporary(*threads):
        return [(await store.runs.load_thread(thread)).temporary for thread in threads]

    assert await temporary("goes", "stays", "bare", "unknown") == [True, False, False, None]
    for run_id in ("r1", "r2"):
        await finish(store, run_id)
    assert await temporary("goes", "stays") == [True, False]
    for run_id in ("r1", "r2"):
        await store.runs.delete(run_id)
    assert await temporary("goes", "stays", "bare") == [None, None, False]


@contract
async def test_a_thread_that_is_recorded_does_not_go_with_its_runs(store):
    fence = await own(store, "t", "u", "v")
    await put(store, run("r1"), run("r2", "u"))
    await record(store, fence, "v")
    spared = Entry(fence("v"), erase_thread="v", unless_recorded=True)
    gone = Entry(fence("u"), erase_thread="u", unless_recorded=True)
    unknown = Entry(fence("t"), erase_thread="t2", unless_recorded=True)

    outcomes = await commit(store, spared, gone, unknown)

    verdicts = [outcome.verdict for outcome in outcomes]
    assert verdicts == [Verdict.STALE, Verdict.APPLIED, Verdict.APPLIED]
    assert await store.threads.get("v") is not None
    assert await store.threads.get("u") is None
    assert await store.runs.get("r1") is not None
