"""The records of threads in the database.

A thread's status and the time of its last change are what its runs say: they are found when
they are asked for, so that they are always true, and a run costs no write to another table.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
)

from ...domain.enums import RunStatus, ThreadStatus
from ...domain.payload import JSON
from ...domain.queries import SearchThreadsQuery, contains
from ...domain.views import ThreadSnapshot
from ..entries import PatchThread, PutThread
from .prepared import Query
from .reading import Reader
from .roster import Roster
from .schema import ENDED, LIVE, runs, thread_records, threads
from .statements import Statements
from .values import micros, moment, packed

_BATCH = 500
"""Rows of one query, where Python has to look at the metadata."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_FAILED: list[ColumnElement[str]] = [
    literal_column(repr(status.value)) for status in (RunStatus.ERROR, RunStatus.TIMEOUT)
]


class SqlThreadStore:
    """The port `ThreadStore` on the database.

    Args:
        reader: answers queries.

    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._all = _threads(reader.dialect)
        self._get = Query(
            self._all.where(threads.c.thread_id == bindparam("thread_id")), reader.dialect
        )

    async def get(self, thread_id: str, *, user_id: str | None = None) -> ThreadSnapshot | None:
        """The thread, or `None`."""
        row = await self._reader.first(self._get, thread_id=thread_id)
        return None if row is None or user_id not in (None, row.user_id) else _snapshot(row)

    async def search(self, query: SearchThreadsQuery) -> list[ThreadSnapshot]:
        """A page of the threads that the query names, in its order."""
        ordered = self._ordered(query)
        if _told_by_columns(query):
            rows = await self._reader.rows(ordered.limit(query.limit).offset(query.offset))
            return [_snapshot(row) for row in rows]
        found: list[ThreadSnapshot] = []
        skipped = 0
        async for row in self._read(ordered):
            if not contains(row.metadata, query.metadata):
                continue
            if skipped < query.offset:
                skipped += 1
                continue
            found.append(_snapshot(row))
            if len(found) == query.limit:
                break
        return found

    async def count(self, query: SearchThreadsQuery) -> int:
        """How many threads the query names, on all pages."""
        chosen = self._chosen(query)
        if _told_by_columns(query):
            (row,) = await self._reader.rows(select(func.count()).select_from(chosen.subquery()))
            return int(row[0])
        matches = 0
        async for row in self._read(chosen.order_by(threads.c.thread_no)):
            matches += contains(row.metadata, query.metadata)
        return matches

    async def _read(self, ordered: Select[Any]) -> AsyncIterator[Any]:
        for batch in count():
            rows = await self._reader.rows(ordered.limit(_BATCH).offset(batch * _BATCH))
            for row in rows:
                yield row
            if len(rows) < _BATCH:
                return

    def _chosen(self, query: SearchThreadsQuery) -> Select[Any]:
        chosen = self._all
        if query.user_id is not None:
            chosen = chosen.where(threads.c.user_id == query.user_id)
        if query.thread_ids is not None:
            chosen = chosen.where(threads.c.thread_id.in_(query.thread_ids))
        if query.status is not None:
            chosen = chosen.where(self._all.selected_columns.status == query.status.value)
        for key, value in query.metadata.items():
            if isinstance(value, str) and _PLAIN_KEY.fullmatch(key):
                chosen = chosen.where(_text_of(key, self._reader.dialect) == value)
        return chosen

    def _ordered(self, query: SearchThreadsQuery) -> Select[Any]:
        rank: Any = getattr(self._all.selected_columns, query.sort_by)
        first = rank.desc() if query.descending else rank.asc()
        return self._chosen(query).order_by(first, threads.c.thread_id)


class ThreadWriter:
    """Writes records of threads.

    Args:
        statements: for the connection's dialect.
        roster: knows the threads.

    """

    def __init__(self, statements: Statements, roster: Roster) -> None:
        self._statements = statements
        self._roster = roster

    def write(self, connection: Connection, record: PutThread | PatchThread) -> bool:
        """Write a record. Returns whether it was written; see `PutThread` and `PatchThread`."""
        if isinstance(record, PutThread):
            return self._put(connection, record)
        return self._patch(connection, record)

    def _put(self, connection: Connection, record: PutThread) -> bool:
        thread = self._roster.thread(connection, record.thread_id)
        if self._exists(connection, thread.number):
            return False
        at = micros(record.at)
        self._insert(connection, thread.number, record.metadata, at, at)
        self._statements.own_thread.run(
            connection, thread=thread.number, own=1, user=record.user_id
        )
        thread.owned = True
        return True

    def _patch(self, connection: Connection, record: PatchThread) -> bool:
        thread = self._roster.find_thread(connection, record.thread_id)
        if thread is None:
            return False
        at, number = micros(record.at), thread.number
        found = connection.execute(
            select(thread_records.c.metadata).where(thread_records.c.thread_no == number)
        ).first()
        if found is not None:
            self._statements.patch_thread.run(
                connection, thread=number, merged=packed({**found[0], **record.metadata}), at=at
            )
            return True
        if not self._exists(connection, number):
            return False
        begun = connection.execute(
            select(func.min(runs.c.created_at)).where(runs.c.thread_no == number)
        ).scalar_one()
        self._insert(connection, number, record.metadata, begun, at)
        return True

    def _exists(self, connection: Connection, number: int) -> bool:
        statements = self._statements
        return (
            statements.recorded_thread.run(connection, thread=number).first() is not None
            or statements.some_run.run(connection, thread=number).first() is not None
        )

    def _insert(
        self, connection: Connection, number: int, metadata: JSON, created: int, updated: int
    ) -> None:
        self._statements.record_thread.run(
            connection, thread=number, data=packed(metadata), created=created, updated=updated
        )


def _told_by_columns(query: SearchThreadsQuery) -> bool:
    """Whether the database can tell which threads match."""
    return all(
        isinstance(value, str) and _PLAIN_KEY.fullmatch(key)
        for key, value in query.metadata.items()
    )


def _text_of(key: str, dialect: Dialect) -> ColumnElement[Any]:
    """The text that the metadata has under a key; `NULL` for what is no text."""
    column = thread_records.c.metadata
    if dialect.name == "sqlite":
        path = f'$."{key}"'
        is_text = func.json_type(column, path) == "text"
        return case((is_text, func.json_extract(column, path)), else_=None)
    name: Any = literal_column(f"'{key}'")
    is_text = func.json_typeof(column.op("->")(name)) == "string"
    return case((is_text, column.op("->>", return_type=Text())(name)), else_=None)


def _threads(dialect: Dialect) -> Select[Any]:
    """Every thread there is, with what its runs say."""
    last = runs.alias("last")
    of_thread = runs.c.thread_no == threads.c.thread_no
    recorded = and_(of_thread, runs.c.status.is_not(None))
    last_no = (
        select(runs.c.run_no)
        .where(of_thread, runs.c.finished_at.is_not(None), ENDED)
        .order_by(runs.c.finished_at.desc(), runs.c.run_no.desc())
        .limit(1)
        .scalar_subquery()
    )
    begun = select(func.min(runs.c.created_at)).where(recorded).scalar_subquery()
    newest = select(func.max(runs.c.created_at)).where(recorded).scalar_subquery()
    busy = select(runs.c.run_no).where(of_thread, LIVE).exists()
    created = func.coalesce(thread_records.c.created_at, begun)
    latest = func.max if dialect.name == "sqlite" else func.greatest
    updated = latest(
        func.coalesce(thread_records.c.updated_at, 0),
        func.coalesce(newest, 0),
        func.coalesce(last.c.finished_at, 0),
    )
    return (
        select(
            threads.c.thread_id,
            threads.c.user_id,
            thread_records.c.metadata,
            created.label("created_at"),
            updated.label("updated_at"),
            _status(busy, last, dialect).label("status"),
            last.c.run_id.label("last_run_id"),
        )
        .select_from(threads)
        .outerjoin(thread_records, thread_records.c.thread_no == threads.c.thread_no)
        .outerjoin(last, last.c.run_no == last_no)
        .where(
            or_(
                thread_records.c.thread_no.is_not(None),
                select(runs.c.run_no).where(recorded).exists(),
            )
        )
    )


def _status(busy: Any, last: Any, dialect: Dialect) -> ColumnElement[str]:
    data = last.c.completion_data
    if dialect.name == "sqlite":
        waits = func.json_type(data, "$.interrupts").is_not(None)
    else:
        waits = data.op("->")(literal_column("'interrupts'")).is_not(None)
    return case(
        (busy, _word(ThreadStatus.BUSY)),
        (waits, _word(ThreadStatus.INTERRUPTED)),
        (last.c.status.in_(_FAILED), _word(ThreadStatus.ERROR)),
        else_=_word(ThreadStatus.IDLE),
    )


def _word(status: ThreadStatus) -> ColumnElement[str]:
    return cast(literal(status.value), Text)


def _snapshot(row: Any) -> ThreadSnapshot:
    return ThreadSnapshot(
        thread_id=row.thread_id,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        status=ThreadStatus(row.status),
        user_id=row.user_id,
        metadata=row.metadata or {},
        last_run_id=row.last_run_id,
    )
