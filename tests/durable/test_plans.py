"""Every query of the API finds its rows by an index: no plan reads a whole table."""

import asyncio
import re

import pytest
from sqlalchemy import event

from callboard.domain import EventCategory, RunStatus
from callboard.store.sql.prepared import Prepared
from tests.durable.house import opened_store, url_of
from tests.store.contract import at, own

QUERIES = {
    "get": lambda s: s.runs.get("r"),
    "get for a user": lambda s: s.runs.get("r", user_id="u"),
    "find_by_key": lambda s: s.runs.find_by_key("t", "k"),
    "load_thread": lambda s: s.runs.load_thread("t"),
    "list_unfinished": lambda s: s.runs.list_unfinished(),
    "list_by_thread": lambda s: s.runs.list_by_thread("t", user_id="u", status=RunStatus.ERROR),
    "list_pending": lambda s: s.runs.list_pending(before=at()),
    "list_inflight": lambda s: s.runs.list_inflight(user_id="u"),
    "tokens": lambda s: s.runs.aggregate_tokens_by_thread("t", include_active=True),
    "messages": lambda s: s.events.list_messages("t"),
    "messages before": lambda s: s.events.list_messages("t", before_seq=9, user_id="u"),
    "messages after": lambda s: s.events.list_messages("t", after_seq=9),
    "messages of a run": lambda s: s.events.list_messages_by_run("r", after_seq=9),
    "newest messages of a run": lambda s: s.events.list_messages("t", run_id="r"),
    "events": lambda s: s.events.list_events_by_run("r", after_seq=9),
    "some events": lambda s: s.events.list_events_by_run(
        "r", types=["a"], categories=[EventCategory.MESSAGE]
    ),
    "frames": lambda s: s.events.list_frames("r", after=9),
    "log": lambda s: s.events.read(after=9),
    "log of a category": lambda s: s.events.read(after=9, category=EventCategory.LIFECYCLE),
    "head": lambda s: s.events.head(),
    "cursor": lambda s: s.events.load_cursor("audit"),
    "checkpoint": lambda s: s.checkpoints.load("t"),
    "abandoned": lambda s: s.abandoned(),
}
WRITES = {
    "claim": lambda s: s.claim([1, 2]),
    "delete a run": lambda s: s.runs.delete("r"),
    "delete a run's events": lambda s: s.events.delete_by_run("r"),
    "delete a thread's events": lambda s: s.events.delete_by_thread("t"),
    "prune": lambda s: s.prune(before=at(), keep=3),
}
ALLOWED = re.compile(
    r"SEARCH|SCAN (m VIRTUAL TABLE|CONSTANT ROW|runs USING INDEX ix_runs_(live|ended)"
    r"|store_state|slots|owners|.subquery)"
    r"|USE TEMP B-TREE|CO-ROUTINE|CORRELATED|SCALAR|SUBQUERY"
)
"""Small tables may be read whole, and so may the index of the runs in flight."""


async def plans(store, statements):
    found = []
    for sql in statements:
        if sql.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            places = sql.count("?")

            def explain(connection, sql=sql, places=places):
                return connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {sql}", (None,) * places
                ).all()

            rows = await store.write("a plan", explain)
            found += [(row[3], sql) for row in rows]
    return found


async def statements_of(store, work, monkeypatch):
    """Every statement that some work gives to a driver."""
    seen = []
    parameters = Prepared.parameters

    def noting(prepared, values):
        seen.append(prepared.sql)
        return parameters(prepared, values)

    def executed(_, __, statement, *___):
        seen.append(statement)

    engines = [store._database.reader.sync_engine, store._database.lane._engine]
    with monkeypatch.context() as patch:
        patch.setattr(Prepared, "parameters", noting)
        for engine in engines:
            event.listen(engine, "before_cursor_execute", executed)
        await work(store)
        for engine in engines:
            event.remove(engine, "before_cursor_execute", executed)
    return set(seen)


@pytest.mark.parametrize("name", [*QUERIES, *WRITES])
def test_a_query_uses_an_index(tmp_path, monkeypatch, name):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            await own(store)
            work = {**QUERIES, **WRITES}[name]
            statements = await statements_of(store, work, monkeypatch)
            return await plans(store, statements)

    whole = [(plan, sql) for plan, sql in asyncio.run(story()) if not ALLOWED.search(plan)]

    assert whole == []


def test_a_query_without_an_index_would_be_seen(tmp_path):
    async def story():
        async with opened_store(url_of(tmp_path)) as store:
            return await plans(store, ["SELECT * FROM run_events WHERE event_type = 'x'"])

    ((plan, _),) = asyncio.run(story())
    assert not ALLOWED.search(plan)
