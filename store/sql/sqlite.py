"""A store in a SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from os import register_at_fork
from pathlib import Path
from typing import Any, Literal

import structlog
from sqlalchemy import Connection, NullPool, create_engine, event, literal
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ...domain.store_errors import StoreCorrupt, StoreReadOnly, StoreRegressed, StoreUnusable
from .faults import described, is_corruption, is_read_only
from .lanes import AsyncLane, Lane, ThreadLane
from .owner_file import OwnerFile, may_have_lost
from .ownership import Claims
from .place import Place
from .prepared import driver
from .read_threads import ReadThreads
from .statements import log_end
from .versions import prepare

_log = structlog.get_logger("callboard.store")

Durability = Literal["full", "process"]

READERS, THREADS = 4, 2
"""Connections that read: those of queries made for the occasion, and of prepared ones."""
BUSY = 5.0
"""Seconds to wait for another process that has the file locked."""
_FAREWELL = 1.0
"""Seconds to wait for connections whose event loop has ended."""
_SYNCHRONOUS = {"full": "FULL", "process": "NORMAL"}
_BEGIN = "BEGIN IMMEDIATE"
_IS_MADE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'store_state'"
_LOG_END = """
    SELECT max(position, coalesce((SELECT max(position) FROM run_events), 0)) FROM store_state
"""
_LARGEST_CHECKED = 256 * 1024 * 1024
"""Bytes of a file that is checked as a whole when it is opened."""


class SqliteDatabase:
    """A file, which one store at a time has open.

    The connection that writes is the only one that checkpoints, too: so no two ever do both
    at once, which SQLite before 3.51.3 may not survive (sqlite.org/wal.html#walresetbug).

    Args:
        place: the file.
        durability: what a commit survives.
        writer: `thread` writes on an OS thread of its own; `async` through aiosqlite.

    """

    def __init__(
        self, place: Place, durability: Durability, writer: Literal["thread", "async"] = "thread"
    ) -> None:
        assert place.path is not None, "it was read as SQLite's"  # noqa: S101
        self.place = place
        self.path: Path = place.path
        self.durability = durability
        self.lane: Lane
        self._writer = writer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owner_file = OwnerFile(self.path)
        self.reader = self._make_reader()
        name = f"callboard reads {self.path.name}"
        self.read_threads: ReadThreads | None = ReadThreads(self._connect_reader, THREADS, name)

    def claims(self, owner: int) -> Claims:
        """Whoever has the file open owns its slots: its lock tells who lives."""
        return Claims(self.place, owner, literal(0.0), None, lambda *_: False)

    async def open(self, forget: Callable[[], None]) -> None:
        """Lock the file, check it, and make its tables.

        Args:
            forget: see `lanes`.

        Raises:
            StoreOwned: another process has it open.
            StoreUnusable: see its subclasses.

        """
        former = _OPEN.get(self.path)
        if former is not None and former.is_abandoned:
            await former.bury()
        self._lock()
        try:
            await asyncio.to_thread(self._inspect)
            self.lane = self._make_lane(forget)
            position = await self.lane.run(self._prepare)
            self._owner_file.sign(position, self.durability)
        except BaseException as error:
            await self._give_up()
            raise self._translated(error) from error

    def note(self, position: int) -> None:
        """The log is on the disk up to there."""
        self._owner_file.note(position)

    async def close(self) -> None:
        """Close every connection; the last one writes the log back into the file."""
        if self.is_abandoned:
            await self.bury()
            return
        await self._stop_reading()
        await self._give_up()

    async def _stop_reading(self) -> None:
        if self.read_threads is not None:
            await self.read_threads.close()
        await self.reader.dispose()

    async def _give_up(self) -> None:
        lane: Lane | None = getattr(self, "lane", None)
        if lane is not None:
            await lane.close()
        self._owner_file.unlock()
        if _OPEN.get(self.path) is self:
            del _OPEN[self.path]

    def _lock(self) -> None:
        if self.path in _INHERITED:
            raise StoreUnusable(
                f"'{self.path}'",
                "it was open when this process was forked, and SQLite's locks do not survive that",
                "Open it in a process that is started afresh, as multiprocessing's 'spawn' does",
            )
        self._owner_file.lock()
        self._loop, _OPEN[self.path] = asyncio.get_running_loop(), self

    @property
    def is_abandoned(self) -> bool:
        """Whether the event loop that opened it ended before it was closed.

        What writes through aiosqlite cannot be told to end without that loop: it keeps the file.
        """
        ended = self._loop is not None and self._loop.is_closed()
        return ended and self._writer == "thread"

    async def bury(self) -> None:
        """Close it, on another event loop than the one that ended."""
        with suppress(TimeoutError):  # what was reading when that loop ended never answers
            async with asyncio.timeout(_FAREWELL):
                await self._stop_reading()
        await self._give_up()

    def leave_to_parent(self) -> None:
        """In a child that was forked: keep the file no longer than the parent does."""
        self._owner_file.unlock()

    # Connections.

    def _make_lane(self, forget: Callable[[], None]) -> Lane:
        if self._writer == "async":
            engine = create_async_engine(self.place.url, poolclass=NullPool)
            self._set_up(engine.sync_engine, self._set_up_writer)
            event.listen(engine.sync_engine, "begin", _begin)
            return AsyncLane(engine, forget)
        arguments = {"check_same_thread": False, "timeout": BUSY}
        url = self.place.url.set(drivername="sqlite")
        engine_ = create_engine(url, poolclass=NullPool, connect_args=arguments)
        self._set_up(engine_, self._set_up_writer)
        return ThreadLane(engine_, _begin_directly, forget, f"callboard store {self.path.name}")

    def _make_reader(self) -> AsyncEngine:
        engine = create_async_engine(
            self.place.url,
            pool_size=READERS,
            max_overflow=0,
            pool_timeout=None,  # those who wait for a connection wait their turn
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
            connect_args={"timeout": BUSY},
        )
        self._set_up(engine.sync_engine, self._set_up_reader)
        return engine

    def _connect_reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None)
        self._set_up_reader(connection)
        return connection

    @staticmethod
    def _set_up(engine: Any, pragmas: Any) -> None:
        @event.listens_for(engine, "connect")
        def connect(connection: Any, _: Any) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            try:
                pragmas(cursor)
            finally:
                cursor.close()

    def _set_up_writer(self, cursor: Any) -> None:
        cursor.execute("PRAGMA page_count")
        if cursor.fetchone()[0] == 0:  # it would write to a file that is there already
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
        cursor.execute("PRAGMA journal_mode=WAL")
        mode = cursor.fetchone()[0]
        if mode != "wal":
            raise StoreUnusable(
                str(self.place),
                f"its file system does not allow a write-ahead log (journal mode '{mode}')",
                "Put the file on a local disk",
            )
        cursor.execute(f"PRAGMA synchronous={_SYNCHRONOUS[self.durability]}")
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
        cursor.execute("PRAGMA journal_size_limit=67108864")
        # Statements of many rows keep a journal of their own, which else is a file.
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")

    @staticmethod
    def _set_up_reader(cursor: Any) -> None:
        cursor.execute("PRAGMA query_only=ON")
        cursor.execute("PRAGMA wal_autocheckpoint=0")
        cursor.execute("PRAGMA trusted_schema=OFF")

    # Checks.

    def _inspect(self) -> None:
        """Look at what is there without changing it.

        A connection that can write moves the log into the file when it closes, and so ends
        what a refused store could still be saved from.
        """
        position = 0
        if self.path.is_file():
            uri = f"{self.path.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY)) as connection:
                self._check_pages(connection)
                if connection.execute(_IS_MADE).fetchone():
                    (position,) = connection.execute(_LOG_END).fetchone()
        self._check_watermark(position)

    def _prepare(self, connection: Connection) -> int:
        prepare(connection, self.place)
        return log_end(connection)

    def _check_pages(self, connection: sqlite3.Connection) -> None:
        if self.path.stat().st_size > _LARGEST_CHECKED:
            return
        (fault,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if fault != "ok":
            raise self._corrupt(str(fault))

    def _check_watermark(self, position: int) -> None:
        before = self._owner_file.before
        acknowledged = before.get("position", 0)
        if position >= acknowledged:
            return
        if may_have_lost(before):
            _log.warning(
                "store_lost_a_suffix", store=str(self.place), events=acknowledged - position
            )
            return
        raise StoreRegressed(
            str(self.place),
            f"its log ends at {position}, and {acknowledged} was acknowledged before: "
            f"'{self.path.name}-wal' is lost or damaged, or the file is an older copy",
            f"Put the missing file back, or delete '{self.path}.owner' to go on without",
        )

    def _corrupt(self, fault: str) -> StoreCorrupt:
        return StoreCorrupt(
            f"'{self.path}'",
            f"it is damaged, or no SQLite database ({fault})",
            "It was left as it is: restore a backup, or salvage it with sqlite3's .recover",
        )

    def _translated(self, error: BaseException) -> BaseException:
        if is_corruption(error):
            return self._corrupt(described(error))
        if is_read_only(error) or "unable to open" in str(error):
            return StoreReadOnly(
                f"'{self.path}'",
                f"it cannot be written ({described(error)})",
                "Let this user write the file and its folder",
            )
        return error


_OPEN: dict[Path, SqliteDatabase] = {}
"""What this process has open: a lock that is in the way may be that of a loop that ended."""
_INHERITED: set[Path] = set()
"""What the parent had open when this process was forked."""


def _after_fork() -> None:
    for path, database in _OPEN.items():
        database.leave_to_parent()
        _INHERITED.add(path)
    _OPEN.clear()


register_at_fork(after_in_child=_after_fork)


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that begins by reading could not, later."""
    connection.exec_driver_sql(_BEGIN)


def _begin_directly(connection: Connection) -> None:
    """The same past SQLAlchemy, which takes longer over it than SQLite."""
    driver(connection).execute(_BEGIN)
