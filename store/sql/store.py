"""The durable store: SQLite or PostgreSQL, by SQLAlchemy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from sqlalchemy import Connection

from ...domain.commands import check_seconds
from ...domain.errors import CallboardError, InvalidValue
from ...domain.identifiers import Slot
from ...domain.store_errors import OutcomeUnknown, StoreOwned, StoreUnavailable
from ..entries import Entry, Outcome, Pruned, Verdict
from .checkpoints import SqlCheckpointStore
from .events import SqlEventLog
from .faults import InDoubt, described, lies_in_the_values
from .graph_checkpoints import SqlGraphCheckpoints
from .opening import Opening
from .place import Place
from .postgres import LEASE, PostgresDatabase
from .reading import Reader
from .retention import Retention
from .roster import Unstorable
from .runs import SqlRunStore
from .sqlite import Durability, SqliteDatabase
from .statements import Statements
from .threads import SqlThreadStore
from .writer import Writer, Written

T = TypeVar("T")

_BETWEEN_TRIES = 0.1
"""Seconds."""
_ABSENCES = 3
"""Looks in a row at which an owner must be gone. After a restart of the server all sessions
are, for as long as their processes take to come back."""
HEARTBEAT = 1.0
"""Seconds: a store that lost its slots learns it within so many."""


@dataclass(slots=True)
class _Progress:
    """How far a group has got whose commit did not end well."""

    group: list[Entry]
    outcomes: list[Outcome] = field(default_factory=list)
    parts: list[list[Entry]] = field(default_factory=list)
    """What is left, the next part last."""
    doubt: Written | None = None
    """What the next part's outcomes are, if its COMMIT arrived."""
    lost: int = 0
    """How many COMMITs did not arrive."""


class SqlStore:
    """Keeps runs and events in a SQLite file or a PostgreSQL database.

    Args:
        url: `sqlite+aiosqlite:///runs.db`, `postgresql+asyncpg://user@host/database`.
        durability: what a commit survives: `full`, the loss of power; `process`, the death
            of the process (the loss of power may take the last commits, never one amid
            others).
        patience: seconds to wait for another process that owns it to leave.
        lease: for PostgreSQL: seconds after which a silent owner loses its slots.
        writer: for SQLite: an OS thread of its own, or aiosqlite (slower).

    Raises:
        InvalidValue: an argument cannot be used.

    """

    def __init__(
        self,
        url: str,
        *,
        durability: Durability = "full",
        patience: float = 0.0,
        lease: float = LEASE,
        writer: Literal["thread", "async"] = "thread",
    ) -> None:
        if durability not in ("full", "process"):
            raise InvalidValue("durability", durability, "give 'full' or 'process'")
        self.place = Place.of(url)
        self.durability = durability
        self._patience = check_seconds(patience, "patience")
        self._lease = check_seconds(lease, "lease")
        self._lane_kind = writer
        self._owner = int.from_bytes(os.urandom(7), "big")
        self._opening = opening = Opening()
        self._database = database = self._make_database()
        self._claims = database.claims(self._owner)
        self._reader = reader = Reader(database.reader, opening, database.read_threads)
        alone = self.place.dialect == "sqlite"
        self._writer = writer_ = Writer(Statements(reader.dialect), alone=alone)
        self._runs = SqlRunStore(reader, writer_, self.write)
        self._events = SqlEventLog(reader, writer_, self.write)
        self._checkpoints = SqlCheckpointStore(reader)
        self._threads = SqlThreadStore(reader)
        self._graph_checkpoints = SqlGraphCheckpoints(
            reader, self.write, None if alone else self._claims.hold
        )
        self._retention = Retention(reader, writer_, self.write, self._claims)
        self._progress: _Progress | None = None
        self._absent: dict[Slot, int] = {}
        """Slots whose owner was gone at the last looks, and at how many."""

    @property
    def runs(self) -> SqlRunStore:
        """The records."""
        return self._runs

    @property
    def events(self) -> SqlEventLog:
        """The log."""
        return self._events

    @property
    def checkpoints(self) -> SqlCheckpointStore:
        """The state of plain agents."""
        return self._checkpoints

    @property
    def threads(self) -> SqlThreadStore:
        """What is recorded of threads themselves."""
        return self._threads

    @property
    def graph_checkpoints(self) -> SqlGraphCheckpoints:
        """The states of graphs."""
        return self._graph_checkpoints

    @property
    def lease(self) -> float | None:
        """Seconds after which a silent owner loses its slots; `None`: while it lives never."""
        return self._claims.lease

    @property
    def heartbeat(self) -> float:
        """Seconds between two looks at what is still this store's."""
        return HEARTBEAT

    async def open(self) -> None:
        """Open the database, and make its tables or bring them up to date.

        Raises:
            StoreUnusable: it cannot be used as it is; see its subclasses.
            StoreUnavailable: it does not answer.

        """
        if self._opening.is_open:
            return
        try:
            await self._patiently(lambda: self._database.open(self._writer.forget))
        except CallboardError:
            raise
        except Exception as error:
            raise StoreUnavailable("its opening", described(error)) from error
        self._writer.forget()
        self._graph_checkpoints.forget()
        self._opening.begin()

    def _make_database(self) -> SqliteDatabase | PostgresDatabase:
        if self.place.dialect == "sqlite":
            return SqliteDatabase(self.place, self.durability, self._lane_kind)
        return PostgresDatabase(self.place, self.durability, self._owner, self._lease)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until the present owner has left, or patience has run out."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            try:
                return await attempt()
            except StoreOwned:
                if loop.time() >= deadline:
                    raise
            await asyncio.sleep(_BETWEEN_TRIES)

    async def close(self) -> None:
        """Give up what it owns, and close every connection. Calling it twice is harmless.

        In a child made by `os.fork` it does nothing: what there is belongs to the parent.
        """
        opening = self._opening
        try:
            if opening.is_open:
                await self._graph_checkpoints.quiet()
                await self.release()
        except CallboardError:
            pass  # whoever comes next sees that its session is gone
        finally:
            if opening.is_here:
                opening.end()
                await self._database.close()

    # Ownership.

    async def claim(self, slots: Iterable[Slot]) -> int:
        """Become the owner of `slots`: whoever was it before can no longer write."""
        wanted = tuple(slots)
        return await self._patiently(
            lambda: self.write("a claim", lambda c: self._claims.claim(c, wanted))
        )

    async def renew(self) -> frozenset[Slot]:
        """Show that this owner lives. Returns the slots it still has."""
        if self._claims.lease is None:
            rows = await self._reader.rows(self._claims.owned())  # there is nothing to write
            return frozenset(Slot(row.slot) for row in rows)
        return await self.write("a lease", self._claims.renew)

    async def abandoned(self) -> frozenset[Slot]:
        """The slots whose owners died."""
        if self._claims.lease is None:
            return frozenset()  # the file has one owner at a time
        found = await self.write("a look at the owners", self._claims.abandoned)
        self._absent = {slot: self._absent.get(slot, 0) + 1 for slot in found}
        return frozenset(slot for slot, times in self._absent.items() if times >= _ABSENCES)

    async def release(self) -> None:
        """Own nothing any more."""
        await self.write("a release", self._claims.release)

    # Retention.

    async def prune(self, *, before: datetime | None = None, keep: int | None = None) -> Pruned:
        """Delete ended runs: their records, events and tokens. Runs in flight stay.

        It takes many small transactions, so that others write meanwhile. Threads stay, with
        their state and their count of events; those that another process owns it leaves alone.

        Args:
            before: delete what ended earlier.
            keep: delete what is not among so many of its thread that ended last.

        Returns:
            what was deleted.

        Raises:
            InvalidValue: both are missing, or one cannot be used.
            StoreUnavailable: the database does not answer; some may have been deleted.

        """
        return await self._retention.prune(before, keep)

    # Writing.

    async def write(self, what: str, work: Callable[[Connection], T]) -> T:
        """Do some work in a transaction.

        Args:
            what: for the message of an error.
            work: gets the connection that writes.

        Raises:
            OutcomeUnknown: it may have been written.
            StoreUnavailable: nothing was written.
            InvalidValue: it cannot be written.

        """
        self._opening.check(what)
        try:
            return await self._database.lane.run(work)
        except CallboardError:
            raise
        except InDoubt as error:
            raise OutcomeUnknown(what, described(error.__cause__ or error)) from error
        except Exception as error:
            if isinstance(error, Unstorable):
                raise InvalidValue(
                    "events", str(error), "append events of one thread at a time"
                ) from error
            if lies_in_the_values(error):
                raise InvalidValue(
                    what, described(error), "give values that it can store"
                ) from error
            raise StoreUnavailable(what, described(error)) from error

    async def commit(self, group: Sequence[Entry]) -> list[Outcome]:
        """Write a group of entries, in order, each all or nothing, in one transaction.

        When one entry cannot be stored, the group is halved until that one fails alone.
        """
        self._opening.check("a group")
        entries = list(group)
        progress, self._progress = self._progress, None
        if progress is None or progress.group != entries:
            progress = _Progress(entries, parts=[entries] if entries else [])
        while progress.parts:
            await self._commit_part(progress)
        return progress.outcomes

    async def _commit_part(self, progress: _Progress) -> None:
        part = progress.parts.pop()
        try:
            written = await self._written(part, progress)
        except InDoubt as error:
            progress.doubt = error.result
            self._keep(progress, part, error.__cause__ or error)
        except Exception as error:  # noqa: BLE001 - whose fault it is, is asked at once
            if not isinstance(error, Unstorable) and not lies_in_the_values(error):
                self._keep(progress, part, error)
            if len(part) == 1:
                progress.outcomes.append(Outcome(Verdict.FAILED, error=described(error)))
            else:
                middle = len(part) // 2
                progress.parts += [part[middle:], part[:middle]]
        else:
            progress.doubt = None
            progress.outcomes += written.outcomes
            self._database.note(written.position)

    async def _written(self, part: list[Entry], progress: _Progress) -> Written:
        doubt, lane = progress.doubt, self._database.lane
        if doubt is not None:
            if await self._arrived(doubt):
                return doubt
            progress.doubt = None
            progress.lost += 1
            if progress.lost > 1:  # whoever waits for a run should not wait for ever
                raise StoreUnavailable("a group", "its COMMIT fails again and again")
        return await lane.run(lambda c: self._writer.commit(c, part))

    async def _arrived(self, doubt: Written) -> bool:
        try:
            return await self._database.lane.run(lambda c: self._writer.arrived(c, doubt))
        except InDoubt as error:  # it only read
            return bool(error.result)

    def _keep(self, progress: _Progress, part: list[Entry], error: BaseException) -> None:
        """Remember how far it got, and say what that means."""
        progress.parts.append(part)
        what = f"a group of {len(progress.group)} entries"
        if progress.outcomes or progress.doubt is not None:
            self._progress = progress
            raise OutcomeUnknown(what, described(error)) from error
        raise StoreUnavailable(what, described(error)) from error
