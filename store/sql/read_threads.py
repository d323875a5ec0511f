"""Prepared queries on OS threads of their own.

SQLite answers a query for a few rows in some microseconds. What a connection of SQLAlchemy's
asyncio adds to that is many times as much: a hop to its OS thread and back, with a future and
a wake-up of the event loop for each. Here one hop serves all that is asked meanwhile.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

from .faults import lies_in_the_values
from .lanes import settle
from .prepared import Query


class _Asked(NamedTuple):
    query: Query
    parameters: tuple[Any, ...]
    future: asyncio.Future[list[Any]]


class _Answer(NamedTuple):
    future: asyncio.Future[list[Any]]
    rows: list[Any]
    error: BaseException | None


class ReadThreads:
    """Answers prepared queries, several at a time. Starts with the first one.

    Args:
        connect: makes a connection; is called on the OS thread that uses it.
        count: of OS threads, each with a connection.
        name: of the OS threads.

    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], count: int, name: str) -> None:
        self._connect = connect
        self._count = count
        self._name = name
        self._crew: _Crew | None = None

    def fetch(self, query: Query, values: dict[str, Any]) -> asyncio.Future[list[Any]]:
        """All rows of a query."""
        if self._crew is None:
            self._crew = _Crew(self._connect, self._count, self._name)
        return self._crew.ask(query, query.parameters(values))

    async def close(self) -> None:
        """Answer what was asked, and close the connections."""
        crew, self._crew = self._crew, None
        if crew is not None:
            await crew.leave()


class _Crew:
    """The OS threads between one start and its end, on one event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], count: int, name: str) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._answers: deque[_Answer] = deque()
        self._told = False
        """The event loop is on its way to the answers."""
        self._threads = [
            threading.Thread(target=self._work, name=name, daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, query: Query, parameters: tuple[Any, ...]) -> asyncio.Future[list[Any]]:
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._asked.put(_Asked(query, parameters, future))
        return future

    async def leave(self) -> None:
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    # On the OS threads.

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        while (asked := self._asked.get()) is not None:
            error: BaseException | None = None
            try:
                if connection is None:
                    connection = self._connect()
                self._answer(_Answer(asked.future, _rows(connection, asked), None))
            except BaseException as raised:  # noqa: BLE001 - whoever asked gets it
                error = raised
                if connection is not None and not lies_in_the_values(raised):
                    _close(connection)
                    connection = None
            if error is not None:
                self._answer(_Answer(asked.future, [], error))
            del asked, error
        if connection is not None:
            _close(connection)

    def _answer(self, answer: _Answer) -> None:
        self._answers.append(answer)
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle)

    # On the event loop.

    def _settle(self) -> None:
        self._told = False  # what is answered from here on calls again
        while self._answers:
            settle(*self._answers.popleft())


def _rows(connection: sqlite3.Connection, asked: _Asked) -> list[Any]:
    return asked.query.rows(connection.execute(asked.query.sql, asked.parameters))


def _close(connection: sqlite3.Connection) -> None:
    with suppress(Exception):
        connection.close()
