"""The one connection that writes, and where its work is done.

A lane carries out one piece of work after the other, each in a transaction of its own.
After one that failed, and before the next, it calls `forget`: whoever remembers what was
written does so in the lane, and must not go on with what is not stored.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .faults import InDoubt, lies_in_the_values

T = TypeVar("T")


class Lane(Protocol):
    """Runs work on the connection that writes."""

    def run(self, work: Callable[[Connection], T]) -> Awaitable[T]:
        """Do `work` in a transaction and commit it, after all work given before.

        Raises:
            InDoubt: the COMMIT was not answered.
            Exception: what the work or the database raised, or that the lane is closed;
                nothing of it is stored.

        """
        ...

    async def close(self) -> None:
        """Finish what was given, and close the connection."""
        ...


class _Closed(Exception):
    """The lane takes no more work."""

    def __init__(self) -> None:
        super().__init__("the store was closed")


class _Job(NamedTuple):
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class ThreadLane:
    """Works on an OS thread of its own: one hop there and one back for each transaction.

    Args:
        engine: makes the connection.
        begin: begins the database's own transaction, once SQLAlchemy's has begun.
        forget: is called on that OS thread after a transaction that failed.
        name: of the OS thread.

    """

    def __init__(
        self,
        engine: Engine,
        begin: Callable[[Connection], None],
        forget: Callable[[], None],
        name: str,
    ) -> None:
        self._engine = engine
        self._begin = begin
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False
        self._thread.start()

    def run(self, work: Callable[[Connection], T]) -> Awaitable[T]:
        """See `Lane`."""
        if self._closed:
            raise _Closed
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, future))
        return future

    async def close(self) -> None:
        """See `Lane`."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                outcome, error = self._transact(job.work), None
            except BaseException as raised:  # noqa: BLE001 - whoever gave the work gets it
                self._forget()
                outcome, error = None, raised
            self._answer(job.future, outcome, error)
            del job, outcome, error
        self._disconnect()

    def _answer(self, future: asyncio.Future[Any], outcome: Any, error: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle, future, outcome, error)

    def _transact(self, work: Callable[[Connection], Any]) -> Any:
        if self._connection is None:
            self._connection = self._engine.connect()
        connection = self._connection
        try:
            connection.begin()
            self._begin(connection)
            result = work(connection)
        except BaseException as error:
            self._roll_back(connection, keep=lies_in_the_values(error))
            raise
        try:
            connection.commit()
        except Exception as error:
            # Only a connection that opens the file anew knows what it holds.
            self._disconnect()
            raise InDoubt(result) from error
        return result

    def _roll_back(self, connection: Connection, *, keep: bool) -> None:
        try:
            connection.rollback()
        except Exception:  # noqa: BLE001 - what matters is why it was rolled back
            keep = False
        if not keep:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.invalidate()
            with suppress(Exception):
                connection.close()


def settle(future: asyncio.Future[T], outcome: T, error: BaseException | None) -> None:
    """Answer whoever waits, if anybody does: with `error` if there is one, else `outcome`."""
    if future.cancelled():
        return
    if error is None:
        future.set_result(outcome)
    else:
        future.set_exception(error)


class AsyncLane:
    """Works on the event loop, through SQLAlchemy's asyncio.

    Args:
        engine: makes the connection.
        forget: is called after a transaction that failed.
        greet: is awaited with each new connection.

    """

    def __init__(
        self,
        engine: AsyncEngine,
        forget: Callable[[], None],
        greet: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> None:
        self._engine = engine
        self._forget = forget
        self._greet = greet
        self._connection: AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """See `Lane`."""
        async with self._turn:
            if self._closed:
                raise _Closed
            try:
                return await self._transact(work)
            except BaseException:
                self._forget()
                raise

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        connection = await self._connected()
        try:
            await connection.begin()
            result = await connection.run_sync(work)
        except BaseException as error:
            await self._roll_back(connection, keep=lies_in_the_values(error))
            raise
        try:
            await connection.commit()
        except BaseException as error:
            await self._disconnect()
            if not isinstance(error, Exception):
                raise
            raise InDoubt(result) from error
        return result

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            connection = await self._engine.connect()
            try:
                if self._greet is not None:
                    await self._greet(connection)
            except BaseException:
                with suppress(Exception):
                    await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _roll_back(self, connection: AsyncConnection, *, keep: bool) -> None:
        try:
            await connection.rollback()
        except Exception:  # noqa: BLE001 - what matters is why it was rolled back
            keep = False
        if not keep:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.invalidate()
            with suppress(Exception):
                await connection.close()

    async def close(self) -> None:
        """See `Lane`."""
        async with self._turn:
            self._closed = True
            await self._disconnect()
