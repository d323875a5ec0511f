"""Reading: through connections of its own, which never wait for the one that writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Dialect, Row, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ...domain.errors import InvalidValue
from ...domain.store_errors import StoreUnavailable
from .faults import described, lies_in_the_values
from .opening import Opening
from .prepared import Query
from .read_threads import ReadThreads

T = TypeVar("T")

_FIRST_WAIT, _PATIENCE = 0.05, 5.0
"""Seconds before a read is tried again, doubling; and for how long."""


class Reader:
    """Answers queries, while the store is open.

    Args:
        engine: has the connections.
        opening: tells whether the store is open.
        threads: answer prepared queries, where the database is in this process.

    """

    __slots__ = ("_engine", "_opening", "_threads", "dialect")

    def __init__(
        self, engine: AsyncEngine, opening: Opening, threads: ReadThreads | None = None
    ) -> None:
        self._engine = engine
        self._opening = opening
        self._threads = threads
        self.dialect: Dialect = engine.dialect

    async def rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        """All rows.

        Raises:
            StoreUnavailable: the store is not open, or does not answer for some seconds.

        """

        async def ask() -> Sequence[Row[Any]]:
            async with self._engine.connect() as connection:
                return list((await connection.execute(statement)).all())

        return await self._answer(ask)

    async def fetch(self, query: Query, **values: Any) -> list[Any]:
        """All rows of a prepared query; raises what `rows` raises."""
        threads = self._threads
        if threads is not None:
            return await self._answer(lambda: threads.fetch(query, values))

        async def ask() -> list[Any]:
            async with self._engine.connect() as connection:
                answer = await connection.run_sync(lambda c: query.run(c, **values))
                return query.rows(answer.rows)

        return await self._answer(ask)

    async def first(self, query: Query, **values: Any) -> Any | None:
        """The first row of a prepared query, or `None`."""
        rows = await self.fetch(query, **values)
        return rows[0] if rows else None

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        wait = _FIRST_WAIT
        while True:
            self._opening.check("a query")
            try:
                return await ask()
            except Exception as error:
                if lies_in_the_values(error):
                    raise InvalidValue("query", described(error), "ask for less") from error
                gone = not isinstance(error, DBAPIError) or error.connection_invalidated
                if not gone or wait > _PATIENCE:
                    raise StoreUnavailable("a query", described(error)) from error
            await asyncio.sleep(wait)
            wait *= 2
