"""With a user, what belongs to others does not exist; without one, everything does."""

from tests.store.contract import (
    SUCCESS,
    at,
    contract,
    event,
    ids,
    message,
    numbers,
    put,
    run,
)


async def two_users(store):
    """A thread that Ann began and Bob joined, and one of Bob's own."""
    await put(
        store,
        run("ann1", user="ann", key="k", minute=1),
        run("bob1", user="bob", minute=2),
        run("ann2", user="ann", minute=3, status=SUCCESS),
        run("bob2", "t2", user="bob", minute=4),
        run("nobodys", minute=5),
    )
    for number, run_id in enumerate(("ann1", "bob1", "ann2", "nobodys"), 1):
        await store.events.append([event(number, run_id), message(number, run_id)])
    await store.events.append([message(9, "bob2", "t2")])


@contract
async def test_a_run_exists_for_its_user_only(store):
    await two_users(store)

    assert (await store.runs.get("ann1", user_id="ann")).run_id == "ann1"
    assert await store.runs.get("ann1", user_id="bob") is None
    assert await store.runs.get("nobodys", user_id="ann") is None
    assert (await store.runs.get("nobodys")).run_id == "nobodys"


@contract
async def test_lists_hold_the_users_own_runs_before_they_are_cut(store):
    await two_users(store)

    async def listed(user, thread="t", **page):
        return ids(await store.runs.list_by_thread(thread, user_id=user, **page))

    assert await listed("ann") == ["ann2", "ann1"]
    assert await listed("ann", limit=1, offset=1) == ["ann1"]
    assert await listed("bob", limit=1) == ["bob1"]
    assert await listed("ann", "t2") == []
    assert await listed("eve") == []
    assert await listed(None) == ["nobodys", "ann2", "bob1", "ann1"]


@contract
async def test_what_is_in_flight_is_listed_by_user(store):
    await two_users(store)

    assert ids(await store.runs.list_pending(user_id="bob")) == ["bob1", "bob2"]
    assert ids(await store.runs.list_inflight(user_id="ann")) == ["ann1"]
    assert ids(await store.runs.list_inflight(user_id="bob", before=at(3))) == ["bob1"]
    assert len(await store.runs.list_inflight()) == 4


@contract
async def test_nobody_deletes_the_runs_of_another(store):
    await two_users(store)

    assert not await store.runs.delete("ann1", user_id="bob")
    assert numbers(await store.events.list_messages_by_run("ann1")) == [1]
    assert await store.runs.delete("ann1", user_id="ann")
    assert await store.runs.get("ann1") is None


@contract
async def test_messages_of_others_do_not_exist_on_a_shared_thread(store):
    await two_users(store)

    async def listed(user, thread="t", **page):
        return numbers(await store.events.list_messages(thread, user_id=user, **page))

    assert await listed("ann") == [1, 3]
    assert await listed("ann", limit=1) == [3]
    assert await listed("ann", limit=1, after_seq=0) == [1]
    assert await listed("bob") == [2]
    assert await listed("bob", run_id="ann1") == []
    assert await listed("eve") == []
    assert await listed("ann", "t2") == []
    assert await listed(None) == [1, 2, 3, 4]


@contract
async def test_the_events_of_a_run_exist_for_its_user_only(store):
    await two_users(store)

    assert await store.events.list_messages_by_run("ann1", user_id="bob") == []
    assert await store.events.list_events_by_run("ann1", user_id="bob") == []
    assert numbers(await store.events.list_messages_by_run("ann1", user_id="ann")) == [1]
    assert numbers(await store.events.list_events_by_run("ann1", user_id="ann")) == [1, 1]
    assert numbers(await store.events.list_events_by_run("ann1")) == [1, 1]


@contract
async def test_events_without_a_record_belong_to_no_user(store):
    await store.events.append([message(1)])

    assert await store.events.list_messages("t", user_id="ann") == []
    assert await store.events.list_events_by_run("r", user_id="ann") == []
    assert numbers(await store.events.list_messages("t")) == [1]


@contract
async def test_a_thread_keeps_its_owner_while_it_has_a_record(store):
    await put(store, run("r1", user="ann"), run("r2", user="bob"))
    await store.runs.delete("r1")

    assert (await store.runs.load_thread("t")).owner == "ann"

    await store.runs.delete("r2")
    assert (await store.runs.load_thread("t")).owner is None
