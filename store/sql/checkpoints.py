"""The state of plain agents in the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, select

from ...domain.errors import Fenced
from ...domain.fence import Fence
from ...domain.payload import JSON, plain
from .prepared import Query
from .reading import Reader
from .schema import checkpoints, threads
from .values import packed
from .writer import Writer

if TYPE_CHECKING:
    from .runs import Write


class SqlCheckpointStore:
    """Keeps, for each thread, what its last run saved and what was there before.

    Runs of a thread follow one another, so nothing older can ever be asked for.

    Args:
        reader: answers queries.
        writer: writes.
        write: does it in a transaction.

    """

    def __init__(self, reader: Reader, writer: Writer, write: Write) -> None:
        self._reader = reader
        self._writer = writer
        self._write = write
        self._load = Query(
            select(checkpoints.c.state)
            .join(threads)
            .where(threads.c.thread_id == bindparam("thread_id"))
            .order_by(checkpoints.c.place.desc())
            .limit(1),
            reader.dialect,
        )

    async def save(self, thread_id: str, run_id: str, state: JSON, fence: Fence) -> None:
        """Make `state` the thread's state, as written by `run_id`."""
        saved = packed(plain(state, "state"))
        statements = self._writer.statements

        def work(connection: Connection) -> None:
            thread = self._writer.roster.thread(connection, thread_id).number
            last = statements.saved.run(connection, thread=thread).first()
            if last is not None and last.run_id == run_id:
                statements.replace.run(connection, thread=thread, at=last.place, saved=saved)
                return
            place = 1 if last is None else last.place + 1
            statements.save.run(connection, thread=thread, at=place, run=run_id, saved=saved)
            statements.drop_before.run(connection, thread=thread, at=place - 1)

        await self._write("a checkpoint", self._fenced(fence, work))

    async def load(self, thread_id: str) -> JSON:
        """The thread's state, or `None`."""
        row = await self._reader.first(self._load, thread_id=thread_id)
        return None if row is None else row.state

    async def drop(self, thread_id: str, run_id: str, fence: Fence) -> None:
        """Forget what `run_id` saved."""
        statements = self._writer.statements

        def work(connection: Connection) -> None:
            thread = self._writer.roster.thread(connection, thread_id).number
            last = statements.saved.run(connection, thread=thread).first()
            if last is not None and last.run_id == run_id:
                statements.drop.run(connection, thread=thread, at=last.place)

        await self._write("a rollback", self._fenced(fence, work))

    def _fenced(
        self, fence: Fence, work: Callable[[Connection], None]
    ) -> Callable[[Connection], None]:
        def checked(connection: Connection) -> None:
            self._writer.reserve(connection, 0)
            if not self._writer.owns(fence):
                raise Fenced(f"Slot {fence.slot} has another owner: this runtime must end.")
            work(connection)

        return checked
