"""A server on PostgreSQL: runs and the states of graphs in one database, across restarts."""

from tests.executors.graphs import goes, steps
from tests.server.house import serving, story


@story
async def test_threads_runs_and_states_are_there_after_a_restart(postgres):
    url = postgres.new_database()
    async with serving({"steps": steps(("a", goes("a")))}, store=url) as first:
        thread_id = (await first.client.threads.create(metadata={"n": 1}))["thread_id"]
        await first.client.runs.wait(thread_id, "steps", input={"path": ["in"]})

    async with serving({"steps": steps(("a", goes("a")))}, store=url) as second:
        values = await second.client.runs.wait(thread_id, "steps", input={"path": ["more"]})
        thread = await second.client.threads.get(thread_id)
        runs = await second.client.runs.list(thread_id)
        (found,) = await second.client.threads.search(metadata={"n": 1}, status="idle")

    assert values == {"path": ["in", "a", "more", "a"]}
    assert thread["values"] == values
    assert len(runs) == 2
    assert found["thread_id"] == thread_id
