"""Reading: through connections of its own, which never wait for the one that writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Executable, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ...domain.errors import CallboardError
from ...domain.store_errors import StoreUnavailable
from .faults import described

_FIRST_WAIT, _PATIENCE = 0.05, 5.0
"""Seconds before a read is tried again, doubling; and for how long."""


class Reader:
    """Answers queries.

    Args:
        engine: has the connections.

    """

    __slots__ = ("_engine",)

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @property
    def dialect(self) -> str:
        """Which database it is."""
        return self._engine.dialect.name

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """All rows.

        Raises:
            StoreUnavailable: the database does not answer, for some seconds.

        """
        wait = _FIRST_WAIT
        while True:
            try:
                async with self._engine.connect() as connection:
                    return (await connection.execute(statement)).all()
            except CallboardError:
                raise
            except Exception as error:
                gone = not isinstance(error, DBAPIError) or error.connection_invalidated
                if not gone or wait > _PATIENCE:
                    raise StoreUnavailable("a query", described(error)) from error
            await asyncio.sleep(wait)
            wait *= 2

    async def one(self, statement: Executable) -> Row[Any] | None:
        """The first row, or `None`."""
        rows = await self.rows(statement)
        return rows[0] if rows else None
