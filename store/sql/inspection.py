"""Looking into a store, beside the process that has it open: nothing is locked or written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ...domain.enums import IN_FLIGHT
from ...domain.errors import CallboardError
from ...domain.store_errors import (
    StoreCorrupt,
    StoreOutdated,
    StoreUnusable,
)
from ...domain.views import RunSnapshot, StoredRunEvent
from .events import named_events
from .faults import described, is_corruption
from .owner_file import acknowledged
from .place import Place
from .revisions import HEAD, REVISIONS
from .schema import events, runs, threads
from .statements import log_end
from .values import event_of, snapshot_of
from .versions import too_new, version

T = TypeVar("T")

_PAGE = 500
"""Rows of one query."""
_MOST_FAULTS = 20
"""Lines of SQLite's own check that are reported."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a store holds, and what is wrong with it.

    The counts are 0 where the schema is not the one that this callboard knows.
    """

    database: str
    """Its name and version."""
    version: str | None
    """Of the schema; `None` where callboard has no tables."""
    faults: tuple[str, ...]
    threads: int = 0
    runs: int = 0
    in_flight: int = 0
    events: int = 0


class Inspection:
    """Reads a store. An async context manager.

    Args:
        url: as for `SqlStore`.

    Raises:
        InvalidValue: the URL names no store.

    """

    def __init__(self, url: str) -> None:
        self.place = Place.of(url)
        self._engine: AsyncEngine

    async def __aenter__(self) -> Self:
        path = self.place.path
        if path is not None and not path.exists():
            raise StoreUnusable(f"'{path}'", "there is no such file", "Name one that is there")
        self._engine = self._make_engine()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()

    def _make_engine(self) -> AsyncEngine:
        url, path = self.place.url, self.place.path
        arguments: dict[str, Any] = {
            "server_settings": {"default_transaction_read_only": "on"},
        }
        if path is not None:
            query = {"mode": "ro", "uri": "true"}
            url = url.set(database=f"file:{quote(str(path))}", query=query)
            arguments = {}
        return create_async_engine(
            url,
            pool_size=1,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            connect_args=arguments,
        )

    # Reading.

    async def version(self) -> str | None:
        """The schema's version; `None` where callboard has no tables."""
        return await self._look(version)

    async def require_current(self) -> None:
        """Check that the schema is the one this callboard knows.

        Raises:
            StoreTooNew: it is newer.
            StoreOutdated: it is older.
            StoreUnusable: it is no callboard's.

        """
        found = await self.version()
        if found is None:
            raise StoreUnusable(str(self.place), "callboard has no tables in it", "Name another")
        if found not in REVISIONS:
            raise too_new(self.place, found)
        if found != HEAD:
            fault = f"its schema is version {found}, and this callboard needs {HEAD}"
            raise StoreOutdated(str(self.place), fault, "Run 'callboard db upgrade'")

    async def runs(self) -> AsyncIterator[RunSnapshot]:
        """All records, in the order they were inserted."""
        recorded = (
            select(runs, threads.c.thread_id)
            .join(threads)
            .where(runs.c.status.is_not(None))
            .order_by(runs.c.run_no)
            .limit(_PAGE)
        )
        last = 0
        while page := await self._rows(recorded.where(runs.c.run_no > last)):
            for row in page:
                yield snapshot_of(row)
            last = page[-1].run_no

    async def events(self) -> AsyncIterator[StoredRunEvent]:
        """All events, in the order of their positions."""
        last = 0
        ordered = named_events().order_by(events.c.position).limit(_PAGE)
        while page := await self._rows(ordered.where(events.c.position > last)):
            for row in page:
                yield event_of(row)
            last = page[-1].position

    # Checking.

    async def check(self) -> Report:
        """Read everything, and say what is wrong.

        Raises:
            StoreCorrupt: it is damaged so that it cannot be read.
            StoreUnusable: it cannot be read.

        """
        found = await self.version()
        # Before the log's end is read, which only grows.
        promised = acknowledged(self.place.path) if self.place.path else 0
        database = await self._look(_database)
        faults = await self._look(_damages)
        try:
            await self.require_current()
        except StoreUnusable as error:
            lost = (_regressed(0, promised),) if found is None and promised else ()
            return Report(database, found, (*faults, error.fault, *lost))
        faults += await self._look(lambda connection: _holes(connection, promised))
        live = runs.c.status.in_(sorted(IN_FLIGHT))
        return Report(
            database,
            found,
            faults,
            threads=await self._count(select(func.count()).select_from(threads)),
            runs=await self._count(select(func.count()).where(runs.c.status.is_not(None))),
            in_flight=await self._count(select(func.count()).where(live)),
            events=await self._count(select(func.count()).select_from(events)),
        )

    async def _count(self, statement: Any) -> int:
        ((count,),) = await self._rows(statement)
        return int(count)

    async def _rows(self, statement: Any) -> Any:
        return await self._look(lambda connection: connection.execute(statement).all())

    async def _look(self, work: Callable[[Connection], T]) -> T:
        try:
            async with self._engine.connect() as connection:
                return await connection.run_sync(work)
        except CallboardError:
            raise
        except Exception as error:
            if is_corruption(error):
                raise StoreCorrupt(
                    str(self.place),
                    f"it is damaged, or no SQLite database ({described(error)})",
                    "Restore a backup, or salvage it with sqlite3's .recover",
                ) from error
            raise StoreUnusable(
                str(self.place),
                f"it cannot be read ({described(error)})",
                "See that it is there and running, and that this user may read it",
            ) from error


def _database(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}"
    return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar()}"


def _damages(connection: Connection) -> tuple[str, ...]:
    """What SQLite itself finds; PostgreSQL has no such check."""
    if connection.dialect.name != "sqlite":
        return ()
    found = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_FAULTS})").scalars()
    torn = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    lost = [f"row {row[1]} of {row[0]} belongs to a row of {row[2]} that is gone" for row in torn]
    return (*(line for line in found if line != "ok"), *lost[:_MOST_FAULTS])


def _holes(connection: Connection, promised: int) -> tuple[str, ...]:
    """What no database can know: whether the log tells all that it must."""
    faults = []
    end = log_end(connection)
    if end < promised:
        faults.append(_regressed(end, promised))
    strays = (
        select(func.count())
        .select_from(events.outerjoin(runs, runs.c.run_no == events.c.run_no))
        .where(runs.c.run_no.is_(None))
    )
    stray = connection.execute(strays).scalar()
    if stray:
        faults.append(f"{stray} events are of runs that are gone")
    return tuple(faults)


def _regressed(end: int, promised: int) -> str:
    return f"the log ends at {end}, and {promised} was acknowledged before"
