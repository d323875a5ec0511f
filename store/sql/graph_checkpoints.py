"""The states of graphs in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    Connection,
    Dialect,
    Select,
    Text,
    bindparam,
    delete,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from ...domain.errors import Fenced, InvalidValue
from ...domain.identifiers import Slot, slot_of
from ..graph_checkpoints import GraphCheckpoint, GraphState, GraphWrite
from .graph_cache import Found, LatestStates, Unknown, in_order
from .prepared import Prepared, Query
from .reading import Reader
from .schema import graph_checkpoints, graph_writes

Work: TypeAlias = Callable[[Connection], None]

_MOMENT = 0.02
"""Seconds that what nobody waits for yet may wait for others to be written with."""
_REMEMBERED = 32 * 2**20
"""Bytes of the latest states that are kept in memory."""
_C, _W = graph_checkpoints.c, graph_writes.c
_CHECKPOINT = [_C[name] for name in GraphCheckpoint._fields]
_WRITE = [_W[name] for name in GraphWrite._fields]


class SqlGraphCheckpoints:
    """The port `GraphCheckpoints` on the database.

    What is to be written while a transaction is under way goes into the next one together.

    Args:
        reader: answers queries.
        write: does some work in a transaction, as `SqlStore.write` does.
        hold: raises `Fenced` if slots are another owner's, and else keeps them from becoming that
            during a transaction; `None` where no other process writes to the database.

    """

    def __init__(
        self,
        reader: Reader,
        write: Callable[[str, Work], Awaitable[None]],
        hold: Callable[[Connection, Iterable[Slot]], None] | None,
    ) -> None:
        self._reader = reader
        self._write = write
        self._statements = _Statements(reader.dialect)
        self._hold = hold
        self._latest = LatestStates(_REMEMBERED if hold is None else 0)
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._urgent = False
        """Whether what waits is to be written at once."""
        self._later: asyncio.TimerHandle | None = None

    def forget(self) -> None:
        """The store is opened: what was under way on an event loop that ended is given up."""
        self._waiting, self._writing = [], None
        self._urgent, self._later = False, None
        self._latest.forget()

    # Reading.

    async def find(
        self, thread_id: str, namespace: str, checkpoint_id: str | None = None
    ) -> GraphState | None:
        """See `GraphCheckpoints`."""
        latest = self._latest.find(thread_id, namespace)
        if isinstance(latest, Unknown):
            if checkpoint_id is not None:
                return await self._read(thread_id, namespace, checkpoint_id)
            found = await self._read_latest(thread_id, namespace)
            self._latest.fill((thread_id, namespace), latest, found)
            return found.state
        if latest is None or checkpoint_id in (None, latest.checkpoint.checkpoint_id):
            return latest
        return await self._read(thread_id, namespace, checkpoint_id)

    async def _read(self, thread_id: str, namespace: str, checkpoint_id: str) -> GraphState | None:
        at = {"thread": thread_id, "namespace": namespace, "id": checkpoint_id}
        found = await self._reader.first(self._statements.one, **at)
        return None if found is None else await self._with_writes(GraphCheckpoint(*found))

    async def _read_latest(self, thread_id: str, namespace: str) -> Found:
        at = {"thread": thread_id, "namespace": namespace}
        row = await self._reader.first(self._statements.latest, **at)
        checkpoint = None if row is None else GraphCheckpoint(*row)
        latest = "" if checkpoint is None else checkpoint.checkpoint_id
        rows = await self._reader.fetch(self._statements.writes_from, **at, id=latest)
        written: dict[str, list[GraphWrite]] = {}
        for row in rows:
            written.setdefault(row[0], []).append(GraphWrite(*row[1:]))
        writes = in_order(written.pop(latest, ()))
        early = {later: in_order(each) for later, each in written.items()}
        return Found(None if checkpoint is None else GraphState(checkpoint, writes), early)

    async def page(
        self,
        thread_id: str | None,
        namespace: str | None,
        *,
        before: str | None = None,
        behind: GraphCheckpoint | None = None,
        limit: int,
    ) -> list[GraphState]:
        """See `GraphCheckpoints`."""
        found = await self._reader.rows(_page(thread_id, namespace, before, behind, limit))
        return [await self._with_writes(GraphCheckpoint(*tuple(row))) for row in found]

    async def _with_writes(self, checkpoint: GraphCheckpoint) -> GraphState:
        thread_id, namespace, checkpoint_id = checkpoint[:3]
        rows = await self._reader.fetch(
            self._statements.writes, thread=thread_id, namespace=namespace, id=checkpoint_id
        )
        return GraphState(checkpoint, in_order(GraphWrite(*row) for row in rows))

    # Writing.

    def save(self, checkpoint: GraphCheckpoint, *, soon: bool = True) -> Awaitable[None]:
        """See `GraphCheckpoints`."""
        values = checkpoint._asdict()
        return self._together(
            lambda c: _run(self._statements.save, c, values),
            lambda: self._latest.saved(checkpoint),
            checkpoint.thread_id,
            soon=soon,
        )

    def save_writes(
        self,
        thread_id: str,
        namespace: str,
        checkpoint_id: str,
        writes: Sequence[GraphWrite],
        *,
        soon: bool = True,
    ) -> Awaitable[None]:
        """See `GraphCheckpoints`."""
        at = {"thread_id": thread_id, "namespace": namespace, "checkpoint_id": checkpoint_id}

        def work(connection: Connection) -> None:
            for write in writes:
                known = self._statements
                statement = known.replace_write if write.place < 0 else known.add_write
                _run(statement, connection, at | write._asdict())

        place = (thread_id, namespace, checkpoint_id)
        return self._together(work, lambda: self._latest.wrote(place, writes), thread_id, soon=soon)

    def forget_thread(self, thread_id: str) -> Awaitable[None]:
        """See `GraphCheckpoints`."""
        return self._together(
            lambda c: self._statements.forget_thread(c, thread_id),
            lambda: self._latest.forget_thread(thread_id),
        )

    def forget_runs(self, run_ids: Sequence[str]) -> Awaitable[None]:
        """See `GraphCheckpoints`."""
        return self._together(
            lambda c: self._statements.forget_runs(c, run_ids), self._latest.forget
        )

    def copy_thread(self, source: str, target: str) -> Awaitable[None]:
        """See `GraphCheckpoints`."""
        return self._together(
            lambda c: self._statements.copy_thread(c, source, target),
            lambda: self._latest.forget_thread(target),
        )

    async def quiet(self) -> None:
        """Wait until all is written that was to be, or could not be."""
        self.hurry()
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    def hurry(self) -> None:
        """See `GraphCheckpoints`."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._urgent = bool(self._waiting)
        if self._urgent and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._drain(), name="callboard graph states")

    def _together(
        self,
        work: Work,
        note: Callable[[], None],
        thread_id: str | None = None,
        *,
        soon: bool = True,
    ) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, note, thread_id, loop.create_future())
        waiting.done.add_done_callback(_look)
        self._waiting.append(waiting)
        if soon:
            self.hurry()
        elif self._later is None:
            self._later = loop.call_later(_MOMENT, self.hurry)
        return waiting.done

    async def _drain(self) -> None:
        while self._urgent:
            self._urgent = False
            group, self._waiting = self._waiting, []
            try:
                await self._write("the states of graphs", partial(self._all, group))
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                self._latest.forget()  # some of it may be stored
                await self._one_by_one(group, error)
            else:
                for waiting in group:
                    waiting.settle(None)

    def _all(self, group: list[_Waiting], connection: Connection) -> None:
        if self._hold is not None:
            threads = {each.thread_id for each in group if each.thread_id is not None}
            self._hold(connection, {slot_of(thread_id) for thread_id in threads})
        for waiting in group:
            waiting.work(connection)

    async def _one_by_one(self, group: list[_Waiting], error: BaseException) -> None:
        """One of them may be at fault: the others are written without it."""
        for waiting in group:
            if len(group) > 1 and isinstance(error, InvalidValue | Fenced):
                try:
                    await self._write("the state of a graph", partial(self._all, [waiting]))
                except Exception as own:  # noqa: BLE001 - whoever waits gets it
                    waiting.settle(own)
                else:
                    waiting.settle(None)
            else:
                waiting.settle(error)


class _Waiting(NamedTuple):
    work: Work
    note: Callable[[], None]
    """To be called once it is written."""
    thread_id: str | None
    """Whose state it is."""
    done: asyncio.Future[None]

    def settle(self, error: BaseException | None) -> None:
        if error is None:
            self.note()
        if self.done.done():
            return  # nobody waits any more
        if error is None:
            self.done.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            self.done.cancel()
        else:
            self.done.set_exception(error)


def _look(done: asyncio.Future[None]) -> None:
    """Nobody need wait for it: asyncio is not to complain."""
    if not done.cancelled():
        done.exception()


def _run(statement: Prepared, connection: Connection, values: dict[str, Any]) -> None:
    statement.run(connection, **values)


class _Statements:
    """All of them.

    Args:
        dialect: for which database.

    """

    def __init__(self, dialect: Dialect) -> None:
        upsert: Any = postgresql_insert if dialect.name == "postgresql" else sqlite_insert
        self._dialect = dialect
        place = (_C.thread_id == bindparam("thread"), _C.namespace == bindparam("namespace"))
        some = select(*_CHECKPOINT).where(*place)
        self.latest = Query(some.order_by(_C.checkpoint_id.desc()).limit(1), dialect)
        self.one = Query(some.where(_C.checkpoint_id == bindparam("id")), dialect)
        there = (_W.thread_id == bindparam("thread"), _W.namespace == bindparam("namespace"))
        self.writes = Query(
            select(*_WRITE).where(*there, _W.checkpoint_id == bindparam("id")), dialect
        )
        self.writes_from = Query(
            select(_W.checkpoint_id, *_WRITE).where(*there, _W.checkpoint_id >= bindparam("id")),
            dialect,
        )
        self.save = Prepared(_replacing(upsert(graph_checkpoints)), dialect)
        adding = upsert(graph_writes).values(_given(graph_writes))
        self.replace_write = Prepared(_replacing(upsert(graph_writes)), dialect)
        self.add_write = Prepared(adding.on_conflict_do_nothing(), dialect)
        self._forget_thread = [
            Prepared(delete(table).where(table.c.thread_id == bindparam("thread")), dialect)
            for table in (graph_checkpoints, graph_writes)
        ]
        made = select(_C.thread_id, _C.namespace, _C.checkpoint_id).where(
            _C.run_id == bindparam("run")
        )
        written = tuple_(_W.thread_id, _W.namespace, _W.checkpoint_id)
        self._forget_run = [
            Prepared(delete(graph_writes).where(written.in_(made)), dialect),
            Prepared(delete(graph_checkpoints).where(_C.run_id == bindparam("run")), dialect),
        ]
        self._copy = [
            Prepared(_copying(upsert(table)), dialect)
            for table in (graph_checkpoints, graph_writes)
        ]

    def forget_thread(self, connection: Connection, thread_id: str) -> None:
        """Delete all of a thread."""
        for statement in self._forget_thread:
            statement.run(connection, thread=thread_id)

    def forget_runs(self, connection: Connection, run_ids: Sequence[str]) -> None:
        """Delete what runs made."""
        for run_id in run_ids:
            for statement in self._forget_run:
                statement.run(connection, run=run_id)

    def copy_thread(self, connection: Connection, source: str, target: str) -> None:
        """Write a thread's rows once more, for another."""
        for statement in self._copy:
            statement.run(connection, source=source, target=target)


def _given(table: Any) -> dict[str, Any]:
    return {column.name: bindparam(column.name) for column in table.columns}


def _replacing(statement: Any) -> Any:
    table = statement.table
    new = statement.values(_given(table))
    changed = {c.name: new.excluded[c.name] for c in table.columns if not c.primary_key}
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


def _copying(statement: Any) -> Any:
    table = statement.table
    names = [column.name for column in table.columns]
    target = bindparam("target", type_=Text())
    columns = [target if name == "thread_id" else table.c[name] for name in names]
    rows = select(*columns).where(table.c.thread_id == bindparam("source"))
    return statement.from_select(names, rows).on_conflict_do_nothing()


def _page(
    thread_id: str | None,
    namespace: str | None,
    before: str | None,
    behind: GraphCheckpoint | None,
    limit: int,
) -> Select[Any]:
    order = (_C.checkpoint_id, _C.thread_id, _C.namespace)
    query = select(*_CHECKPOINT).order_by(*(column.desc() for column in order)).limit(limit)
    if thread_id is not None:
        query = query.where(_C.thread_id == thread_id)
    if namespace is not None:
        query = query.where(_C.namespace == namespace)
    if before is not None:
        query = query.where(_C.checkpoint_id < before)
    if behind is not None:
        last = (behind.checkpoint_id, behind.thread_id, behind.namespace)
        query = query.where(tuple_(*order) < last)
    return query
