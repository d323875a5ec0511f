"""The run store in the database."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Select, and_, bindparam, or_, select

from ...domain.commands import CreateRunCommand, choice
from ...domain.enums import RunStatus, StopReason
from ...domain.run import TRANSITIONS
from ...domain.views import RunSnapshot, RunUsage, ThreadTokens
from ..entries import Overtaking, RunChange, RunCompletion, ThreadRecord, Unfinished
from .prepared import Query
from .reading import Reader
from .schema import ENDED, FRAME, LIVE, events, runs, threads
from .tokens import thread_tokens, token_sums, tokens_by_model
from .values import micros, model_name, new_usage, snapshot_of
from .writer import Writer

T = TypeVar("T")

_RECORDED = runs.c.status.is_not(None)


class Write(Protocol):
    """Does some work in a transaction; see `SqlStore.write`."""

    async def __call__(self, what: str, work: Callable[[Connection], T]) -> T:
        """Returns what the work returns."""
        ...


class SqlRunStore:
    """The port `RunStore` on the database.

    Args:
        reader: answers queries.
        writer: writes.
        write: does it in a transaction.

    """

    def __init__(self, reader: Reader, writer: Writer, write: Write) -> None:
        self._reader = reader
        self._writer = writer
        self._write = write

        def query(statement: Select[Any]) -> Query:
            return Query(statement, reader.dialect)

        thread_id: Any = bindparam("thread_id")
        recorded, of_thread = select(runs).where(_RECORDED), _of_thread(thread_id)
        self._get = query(recorded.where(runs.c.run_id == bindparam("run_id")))
        self._find_by_key = query(of_thread.where(runs.c.idempotency_key == bindparam("key")))
        self._unfinished = query(_unfinished().order_by(runs.c.created_at, runs.c.run_no))
        self._unfinished_there = query(_unfinished_of(thread_id))
        self._last_there = query(
            of_thread.where(runs.c.finished_at.is_not(None), ENDED)
            .order_by(runs.c.finished_at.desc(), runs.c.run_no.desc())
            .limit(1)
        )
        since = of_thread.with_only_columns(runs.c.run_no, runs.c.request, runs.c.stop_reason)
        self._ended_since = query(
            since.where(runs.c.run_no > bindparam("run_no"), ENDED).order_by(runs.c.run_no)
        )

    # Reading.

    async def get(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """The record, or `None`."""
        row = await self._reader.first(self._get, run_id=run_id)
        return None if row is None or user_id not in (None, row.user_id) else snapshot_of(row)

    async def find_by_key(self, thread_id: str, idempotency_key: str) -> RunSnapshot | None:
        """The run that was created on this thread with this key, or `None`."""
        found = {"thread_id": thread_id, "key": idempotency_key}
        row = await self._reader.first(self._find_by_key, **found)
        return None if row is None else snapshot_of(row)

    async def load_thread(self, thread_id: str) -> ThreadRecord:
        """What is in flight on a thread, whose it is, and how its last run ended."""
        found = await self._reader.fetch(self._unfinished_there, thread_id=thread_id)
        if not found:
            return ThreadRecord(None, (), None, kept=False)
        in_flight = [row for row in found if row.run_no is not None]
        last = await self._reader.first(self._last_there, thread_id=thread_id)
        owner = found[0].owner if found[0].owned else None
        return ThreadRecord(
            owner,
            tuple(map(_as_unfinished, in_flight)),
            None if last is None else snapshot_of(last),
            await self._overtaking(thread_id, in_flight),
            kept=bool(found[0].owned),
        )

    async def _overtaking(self, thread_id: str, in_flight: list[Any]) -> tuple[Overtaking, ...]:
        if not in_flight:
            return ()
        numbers = [row.run_no for row in in_flight]
        rows = await self._reader.fetch(self._ended_since, thread_id=thread_id, run_no=numbers[0])
        return tuple(
            Overtaking(
                CreateRunCommand(**row.request).multitask_strategy,
                None if row.stop_reason is None else StopReason(row.stop_reason),
                bisect(numbers, row.run_no),
            )
            for row in rows
        )

    async def list_unfinished(self) -> list[Unfinished]:
        """All runs in flight, with how far their events go, oldest first."""
        return [_as_unfinished(row) for row in await self._reader.fetch(self._unfinished)]

    async def list_by_thread(
        self,
        thread_id: str,
        *,
        user_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
        status: RunStatus | None = None,
    ) -> list[RunSnapshot]:
        """Records of a thread, newest first."""
        chosen = _of_thread(thread_id)
        if user_id is not None:
            chosen = chosen.where(runs.c.user_id == user_id)
        if status is not None:
            chosen = chosen.where(runs.c.status == choice(RunStatus, status, "status").value)
        newest = chosen.order_by(runs.c.created_at.desc(), runs.c.run_no.desc())
        rows = await self._reader.rows(newest.limit(limit).offset(offset))
        return [snapshot_of(row) for row in rows]

    async def list_pending(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` runs, oldest first."""
        return await self._list(runs.c.status == RunStatus.PENDING.value, before, user_id)

    async def list_inflight(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` and `running` runs, oldest first."""
        return await self._list(LIVE, before, user_id)

    async def _list(
        self, chosen: Any, before: datetime | None, user_id: str | None
    ) -> list[RunSnapshot]:
        # Both conditions: the first lets the index of live runs answer.
        statement = _visible(select(runs), user_id).where(LIVE, chosen)
        if before is not None:
            statement = statement.where(runs.c.created_at < micros(before))
        rows = await self._reader.rows(statement.order_by(runs.c.created_at, runs.c.run_no))
        return [snapshot_of(row) for row in rows]

    async def aggregate_tokens_by_thread(
        self, thread_id: str, *, include_active: bool = False, user_id: str | None = None
    ) -> ThreadTokens:
        """What a thread's ended runs used, by model and caller."""
        active = runs.c.status == RunStatus.RUNNING.value
        counted = or_(ENDED, active) if include_active else ENDED
        where = and_(threads.c.thread_id == thread_id, counted)
        if user_id is not None:
            where = and_(where, runs.c.user_id == user_id)
        (total,) = await self._reader.rows(token_sums(where))
        models = await self._reader.rows(tokens_by_model(where, self._reader.dialect.name))
        return thread_tokens(total, models)

    # Writing.

    async def put(self, run: RunSnapshot) -> bool:
        """Insert a record, unless its id, or its key on its thread, is taken."""
        return await self._write("a record", lambda c: self._writer.records.insert(c, run))

    async def update_status(self, change: RunChange) -> bool:
        """Compare-and-set."""
        return await self._write("a status", lambda c: self._writer.records.move(c, change))

    async def update_run_completion(
        self,
        run_id: str,
        status: RunStatus,
        completion: RunCompletion,
        at: datetime,
        *,
        error: str | None = None,
    ) -> bool:
        """Store a run's end. A terminal status is never replaced by another."""

        def work(connection: Connection) -> bool:
            found = self._writer.statements.find_run.run(connection, run_id=run_id).first()
            if found is None or found.status is None:
                return False
            now = RunStatus(found.status)
            if status is not now and status not in TRANSITIONS[now]:
                return False
            change = RunChange(run_id, now, status, at, error=error, completion=completion)
            return self._writer.records.move(connection, change)

        return await self._write("an end", work)

    async def update_model_name(self, run_id: str, name: str | None) -> bool:
        """Set the model's name: stripped, at most 128 characters, blank is `None`."""
        rename = self._writer.statements.rename_model
        kept = model_name(name)
        return await self._write(
            "a model's name", lambda c: rename.run(c, run=run_id, name=kept).rowcount == 1
        )

    async def update_run_progress(self, run_id: str, usage: RunUsage) -> bool:
        """Store what a running run spent so far."""
        progress = self._writer.statements.progress
        new = new_usage(usage)
        return await self._write(
            "progress", lambda c: progress.run(c, run=run_id, **new).rowcount == 1
        )

    async def delete(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a record and its events. An absent one is a no-op."""
        if await self.get(run_id, user_id=user_id) is None:
            return False

        def work(connection: Connection) -> None:
            self._writer.records.erase_run(connection, run_id)

        await self._write("a deletion", work)
        return True


def _visible(statement: Select[Any], user_id: str | None) -> Select[Any]:
    recorded = statement.where(_RECORDED)
    return recorded if user_id is None else recorded.where(runs.c.user_id == user_id)


def _of_thread(thread_id: Any) -> Select[Any]:
    of_thread = select(runs).join(threads).where(threads.c.thread_id == thread_id)
    return of_thread.where(_RECORDED)


def _frames() -> Any:
    """How many frames of a run are stored: the number of the last one."""
    last = (
        select(events.c.sequence)
        .where(events.c.thread_no == runs.c.thread_no, events.c.seq >= runs.c.first_seq)
        .where(events.c.run_no == runs.c.run_no)
        .where(FRAME)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    return last.scalar_subquery().label("frames")


def _unfinished() -> Select[Any]:
    return select(runs, _frames()).where(LIVE)


def _unfinished_of(thread_id: Any) -> Select[Any]:
    """A thread's runs in flight, in their order; one row without a run if it has none."""
    return (
        select(runs, _frames(), threads.c.user_id.label("owner"), threads.c.owned)
        .select_from(threads)
        .outerjoin(runs, and_(runs.c.thread_no == threads.c.thread_no, LIVE))
        .where(threads.c.thread_id == thread_id)
        .order_by(runs.c.run_no)
    )


def _as_unfinished(row: Any) -> Unfinished:
    return Unfinished(snapshot_of(row), row.last_sequence, row.frames or 0)
