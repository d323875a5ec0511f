"""The state of plain agents in the database.

Of each thread it keeps what its last run saved and what was there before. Runs of a thread
follow one another, so nothing older can ever be asked for.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from ...domain.payload import JSON, plain
from ..entries import DropState, SaveState
from .prepared import Query
from .reading import Reader
from .roster import Roster
from .schema import checkpoints, threads
from .statements import Statements
from .values import packed


class SqlCheckpointStore:
    """The port `CheckpointStore` on the database.

    Args:
        reader: answers queries.

    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._load = Query(
            select(checkpoints.c.state)
            .join(threads)
            .where(threads.c.thread_id == bindparam("thread_id"))
            .order_by(checkpoints.c.place.desc())
            .limit(1),
            reader.dialect,
        )

    async def load(self, thread_id: str) -> JSON:
        """The thread's state, or `None`."""
        row = await self._reader.first(self._load, thread_id=thread_id)
        return None if row is None else row.state


class CheckpointWriter:
    """Writes states. Writing one again changes nothing.

    Args:
        statements: for the connection's dialect.
        roster: knows the threads.

    """

    def __init__(self, statements: Statements, roster: Roster) -> None:
        self._statements = statements
        self._roster = roster

    def write(self, connection: Connection, checkpoint: SaveState | DropState) -> None:
        """Save a state, or drop one."""
        thread = self._roster.thread(connection, checkpoint.thread_id).number
        last = self._statements.saved.run(connection, thread=thread).first()
        own = last is not None and last.run_id == checkpoint.run_id
        if isinstance(checkpoint, DropState):
            if own:
                self._statements.drop.run(connection, thread=thread, at=last.place)
            return
        saved = packed(plain(checkpoint.state, "state"))
        if own:
            self._statements.replace.run(connection, thread=thread, at=last.place, saved=saved)
            return
        place, run = 1 if last is None else last.place + 1, checkpoint.run_id
        self._statements.save.run(connection, thread=thread, at=place, run=run, saved=saved)
        self._statements.drop_before.run(connection, thread=thread, at=place - 1)
