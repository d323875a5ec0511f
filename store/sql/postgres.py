"""A store in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, NullPool, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from .lanes import AsyncLane, Lane
from .ownership import Claims
from .place import Place
from .read_threads import ReadThreads
from .sqlite import Durability
from .versions import prepare

LEASE = 15.0
"""Seconds after which a silent owner's slots may be taken."""
READERS = 4
_PATIENCE = 10.0
"""Seconds to wait for a connection, or for a statement's answer, at most."""
_IDLE = 5.0
"""Seconds that a transaction may do nothing, or a third of the lease: then its process hangs,
and keeps all others from writing and from prolonging their leases."""
_SCHEMA_LOCK = 0x63616C6C626F6172
"""Held while tables are made: whoever comes second finds them."""


class PostgresDatabase:
    """A database that several processes may share, each with slots of its own.

    An owner shows that it lives by an advisory lock, which the server takes back when its
    connection ends, and by a lease on the server's clock, in case it hangs.

    Args:
        place: where it is.
        durability: what a commit survives.
        owner: this store's number.
        lease: seconds after which a silent owner loses its slots.

    """

    def __init__(self, place: Place, durability: Durability, owner: int, lease: float) -> None:
        self.place = place
        self.durability = durability
        self.lane: Lane
        self.read_threads: ReadThreads | None = None
        self._owner = owner
        self._lease = lease
        self._arguments: dict[str, Any] = {
            "timeout": _patience(lease),
            "command_timeout": _patience(lease),
            "server_settings": {
                "application_name": "callboard",
                "synchronous_commit": "on" if durability == "full" else "off",
                "idle_in_transaction_session_timeout": str(int(1000 * min(_IDLE, lease / 3))),
            },
        }
        self.reader = create_async_engine(
            place.url,
            pool_size=READERS,
            max_overflow=0,
            pool_timeout=None,  # those who wait for a connection wait their turn
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            connect_args=self._arguments,
        )

    def claims(self, owner: int) -> Claims:
        """Owners live while they hold their advisory lock."""
        now = func.date_part("epoch", func.clock_timestamp())
        return Claims(self.place, owner, now, self._lease, _is_alive)

    async def open(self, forget: Callable[[], None]) -> None:
        """Connect, and make the tables.

        Args:
            forget: see `lanes`.

        """
        writer = create_async_engine(
            self.place.url, poolclass=NullPool, connect_args=self._arguments
        )
        self.lane = AsyncLane(writer, forget, self._greet)
        try:
            await self.lane.run(self._prepare)
        except BaseException:
            await self.lane.close()
            raise

    async def _greet(self, connection: AsyncConnection) -> None:
        """Show that this owner lives, as long as the connection does.

        Shared with the connection before it, which the server may not have missed yet.
        """
        await connection.execute(select(func.pg_advisory_lock_shared(self._owner)))
        await connection.commit()

    def _prepare(self, connection: Connection) -> None:
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
        prepare(connection, self.place)

    def note(self, position: int) -> None:
        """The server keeps its own log."""

    async def close(self) -> None:
        """Close every connection."""
        await self.reader.dispose()
        await self.lane.close()


def _is_alive(connection: Connection, owner: int) -> bool:
    locked = text("SELECT pg_try_advisory_xact_lock(:owner)")
    return not connection.execute(locked, {"owner": owner}).scalar_one()


def _patience(lease: float) -> float:
    """Seconds to wait for an answer: a lease must be renewed behind one that never comes."""
    return min(_PATIENCE, max(1.0, lease / 3))
