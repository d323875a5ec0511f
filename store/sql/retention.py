"""Deleting what is old: ended runs, with their records and their events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Select, delete, select, tuple_

from ...domain.commands import check_count
from ...domain.enums import TERMINAL
from ...domain.errors import InvalidValue
from ...domain.identifiers import slot_of
from ..entries import Pruned
from .ownership import Claims
from .reading import Reader
from .schema import events, runs, threads
from .values import micros
from .writer import Writer

if TYPE_CHECKING:
    from .runs import Write

_CHUNK_RUNS, _CHUNK_EVENTS = 100, 1000
"""What one transaction deletes at most: whoever writes waits no longer than that takes."""
_PAGE = 2000
"""Runs that are looked at in one query."""
_FREED_PAGES = 200
"""Pages of a file that one transaction gives back."""
_WHAT = "a deletion"


class _Ended(NamedTuple):
    """An ended run, and where its events are."""

    thread_no: int
    finished_at: int
    run_no: int
    run_id: str
    thread_id: str
    first_seq: int
    last_seq: int

    @property
    def size(self) -> int:
        """How many events it has at most."""
        return self.last_seq - self.first_seq + 1


class Retention:
    """Prunes a store, while others read and write it.

    Args:
        reader: answers queries.
        writer: writes.
        write: does it in a transaction.
        claims: knows whose threads are left alone.

    """

    def __init__(self, reader: Reader, writer: Writer, write: Write, claims: Claims) -> None:
        self._reader = reader
        self._writer = writer
        self._write = write
        self._claims = claims

    async def prune(self, before: datetime | None, keep: int | None) -> Pruned:
        """Delete ended runs, in many small transactions; see `SqlStore.prune`."""
        choice = _Choice(before, keep)
        total = Pruned()
        page = await self._page(choice.query())
        while page:
            for chunk in _chunks(filter(choice.takes, page)):
                total += await self._delete(chunk)
            page = await self._page(_behind(choice.query(), page[-1]))
        if self._reader.dialect.name == "sqlite":
            while await self._write(_WHAT, _give_back_pages):
                pass
        return total

    async def _page(self, query: Select[Any]) -> list[_Ended]:
        return [_Ended._make(row) for row in await self._reader.rows(query)]

    async def _delete(self, chunk: list[_Ended]) -> Pruned:
        """The longest runs bit by bit, from their beginnings; then the chunk as a whole.

        One that is interrupted leaves the records of runs whose first events are gone.
        """
        trimmed = 0
        for run in chunk:
            for end in range(run.first_seq + _CHUNK_EVENTS, run.last_seq, _CHUNK_EVENTS):
                trimmed += await self._write(_WHAT, partial(self._trim, run, end))
        return Pruned(0, trimmed) + await self._write(_WHAT, partial(self._erase, chunk))

    def _trim(self, run: _Ended, end: int, connection: Connection) -> int:
        """Delete the events of a run that come before `end`. Not its last: `seq` goes on there."""
        if not self._outdated(connection, [run]):
            return 0
        self._writer.statements.keep_position.run(connection)
        of_run = (events.c.thread_no == run.thread_no, events.c.run_no == run.run_no)
        within = events.c.seq.between(run.first_seq, end - 1)
        return connection.execute(delete(events).where(*of_run, within)).rowcount

    def _erase(self, chunk: list[_Ended], connection: Connection) -> Pruned:
        erase = self._writer.records.erase_run
        outdated = self._outdated(connection, chunk)
        return Pruned(len(outdated), sum(erase(connection, run.run_id) for run in outdated))

    def _outdated(self, connection: Connection, chunk: list[_Ended]) -> list[_Ended]:
        """Those that are there as they were seen, on threads that nobody else owns.

        What others own they remember: only their owner may delete it.
        """
        self._writer.reserve(connection, 0)
        elsewhere = self._claims.elsewhere(connection)
        seen = select(runs.c.run_no, runs.c.finished_at).where(
            runs.c.run_id.in_([run.run_id for run in chunk])
        )
        there = {tuple(row) for row in connection.execute(seen)}
        return [
            run
            for run in chunk
            if (run.run_no, run.finished_at) in there and slot_of(run.thread_id) not in elsewhere
        ]


class _Choice:
    """Which ended runs are deleted: the old ones, and those beyond the newest of each thread.

    Args:
        before: the moment before which they are old.
        keep: how many of each thread are the newest.

    Raises:
        InvalidValue: nothing is chosen, or an argument cannot be used.

    """

    def __init__(self, before: datetime | None, keep: int | None) -> None:
        if before is None and keep is None:
            raise InvalidValue("before", before, "give a moment, or keep, or both")
        if before is not None and (not isinstance(before, datetime) or before.tzinfo is None):
            raise InvalidValue("before", before, "give a moment with its time zone")
        if keep is not None:
            check_count(keep, "keep", "give a whole number, 0 or more")
        self._before = None if before is None else micros(before)
        self._keep = keep
        self._thread = 0
        self._newer = 0
        """How many runs of that thread have been seen."""

    def query(self) -> Select[Any]:
        """Ended runs, thread by thread, the newest first: all that may be chosen."""
        ended = (
            select(
                runs.c.thread_no,
                runs.c.finished_at,
                runs.c.run_no,
                runs.c.run_id,
                threads.c.thread_id,
                runs.c.first_seq,
                runs.c.last_seq,
            )
            .join(threads)
            .where(runs.c.finished_at.is_not(None), runs.c.status.in_(sorted(TERMINAL)))
            .order_by(*(column.desc() for column in _ORDER))
            .limit(_PAGE)
        )
        if self._keep is None:
            ended = ended.where(runs.c.finished_at < self._before)
        return ended

    def takes(self, run: _Ended) -> bool:
        """Whether to delete a run; they must be asked for in the query's order."""
        if run.thread_no != self._thread:
            self._thread, self._newer = run.thread_no, 0
        self._newer += 1
        surplus = self._keep is not None and self._newer > self._keep
        return surplus or (self._before is not None and run.finished_at < self._before)


_ORDER = (runs.c.thread_no, runs.c.finished_at, runs.c.run_no)


def _behind(query: Select[Any], run: _Ended) -> Select[Any]:
    """What comes after a run in the query's order."""
    return query.where(tuple_(*_ORDER) < (run.thread_no, run.finished_at, run.run_no))


def _chunks(chosen: Iterable[_Ended]) -> Iterator[list[_Ended]]:
    """Parts that one transaction deletes."""
    chunk: list[_Ended] = []
    room = _CHUNK_EVENTS
    for run in chosen:
        if chunk and (len(chunk) == _CHUNK_RUNS or run.size > room):
            yield chunk
            chunk, room = [], _CHUNK_EVENTS
        chunk.append(run)
        room -= run.size
    if chunk:
        yield chunk


def _give_back_pages(connection: Connection) -> bool:
    """Give free pages of a file back to the file system. Returns whether there are more."""
    free = _free_pages(connection)
    for _ in range(min(free, _FREED_PAGES)):
        # One at a time: Python's driver takes no second step of a statement without rows.
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return 0 < _free_pages(connection) < free


def _free_pages(connection: Connection) -> int:
    pages: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    return pages
