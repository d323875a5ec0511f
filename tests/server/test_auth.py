"""Who asks: users are told apart, and see their own alone."""

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import AuthenticationError, NotFoundError, PermissionDeniedError

from callboard.server import Unauthenticated
from tests.server.house import collect, serving, story

KEYS = {"ann's key": "ann", "bob's key": "bob"}


async def by_key(request):
    """An API key tells the user."""
    key = request.headers.get("x-api-key")
    if key == "mallory's key":
        raise Unauthenticated("Mallory may not.", 403)
    return KEYS.get(key)


ANN = {"authenticate": by_key, "client": {"api_key": "ann's key"}}


@story
async def test_without_a_user_nothing_is_answered_but_how_the_server_is():
    async with serving(**ANN) as served:
        for path in ("/threads/search", "/runs/wait", "/assistants/search"):
            answer = await served.http.post(path, json={})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert (await served.http.get("/metrics")).status_code == 401
        assert (await served.http.get("/ok")).status_code == 200
        async with get_client(url=served.url, api_key="mallory's key") as mallory:
            with pytest.raises(PermissionDeniedError, match="Mallory may not"):
                await mallory.threads.search()
        async with get_client(url=served.url, api_key=None) as nobody:
            with pytest.raises(AuthenticationError):
                await nobody.threads.search()


@story
async def test_what_belongs_to_others_does_not_exist():
    async with serving(**ANN) as served:
        ann = served.client
        thread_id = (await ann.threads.create(metadata={"a": 1}))["thread_id"]
        await ann.runs.wait(thread_id, "steps", input={"path": ["in"]})
        (run,) = await ann.runs.list(thread_id)

        async with get_client(url=served.url, api_key="bob's key") as bob:
            assert await bob.threads.search() == []
            assert await bob.threads.count() == 0
            calls = [
                bob.threads.get(thread_id),
                bob.threads.update(thread_id, metadata={}),
                bob.threads.delete(thread_id),
                bob.threads.copy(thread_id),
                bob.threads.get_state(thread_id),
                bob.threads.get_history(thread_id),
                bob.threads.update_state(thread_id, {}),
                bob.runs.list(thread_id),
                bob.runs.get(thread_id, run["run_id"]),
                bob.runs.delete(thread_id, run["run_id"]),
                bob.runs.cancel(thread_id, run["run_id"]),
                bob.runs.create(thread_id, "steps"),
                bob.runs.create(thread_id, "steps", if_not_exists="create"),
                collect(bob.runs.join_stream(thread_id, run["run_id"])),
                bob.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"]]),
                bob.runs.cancel_many(status="all"),
            ]
            for call in calls:
                with pytest.raises(NotFoundError):
                    await call
        assert (await ann.threads.get(thread_id))["metadata"]["a"] == 1


@story
async def test_an_agent_knows_its_user():
    async with serving(**ANN) as served:
        assert (await served.client.runs.wait(None, "echo", input=1))["user"] == "ann"


@story
async def test_where_users_are_known_any_page_may_ask():
    async with serving(**ANN) as served:
        headers = {"Origin": "https://example.org", "X-Api-Key": "ann's key"}

        answer = await served.http.post("/threads/search", json={}, headers=headers)

        assert answer.headers["access-control-allow-origin"] == "*"
