"""The peer that is the limit: `sqlite3` itself, on the store's own tables."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from callboard.store.sql.schema import events
from callboard.store.sql.values import encode

from .load import MIX, PAYLOAD

COLUMNS = (
    "position",
    "thread_no",
    "seq",
    "run_no",
    "category",
    "event_type",
    "event_key",
    "content",
    "created_at",
    "sequence",
)
_INSERT = (
    f"INSERT INTO {events.name} ({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"
)


_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000", "foreign_keys=ON")


def event_rows(
    runs: Sequence[tuple[int, int]], position: int, seq: int
) -> Iterator[tuple[object, ...]]:
    """Rows of `COLUMNS`, without end: the events of these runs in turn, as the store has them.

    Args:
        runs: for each the numbers of its thread and of itself.
        position: that of the last event in the log.
        seq: the highest one of any thread.

    """
    text, count = encode(PAYLOAD), len(runs)
    categories = [category.value for category in MIX]
    for number, (thread_no, run_no) in enumerate(cycle(runs)):
        turn = number // count
        category = categories[turn % len(categories)]
        message = category == "message"
        yield (
            position + number + 1,
            thread_no,
            seq + turn + 1,
            run_no,
            category,
            "ai" if message else "messages",
            f"~/message/{turn + 3}" if message else f"~/frame/{turn + 3}",
            text,
            1_780_000_000_000_000 + number,
            None if message else turn + 3,
        )


class RawSqlite:
    """Inserts events on a copy of a store's file, and does nothing else.

    It gives no verdicts, sees no fence, encodes each payload beforehand, and hands whole
    batches to `executemany` on the OS thread that made them.

    Args:
        source: the file of a closed store, with the runs that are live.
        path: where the copy goes.

    """

    def __init__(self, source: Path, path: Path) -> None:
        shutil.copy(source, path)
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "wal_autocheckpoint=4000",
            "foreign_keys=ON",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        runs = self._connection.execute("SELECT thread_no, run_no FROM runs").fetchall()
        last = f"SELECT max(position), max(seq) FROM {events.name}"
        self._rows = event_rows(runs, *self._connection.execute(last).fetchone())

    def write(self, count: int, batch: int) -> int:
        """Commit that many events, a batch at a time."""
        execute = self._connection.execute
        for _ in range(count // batch):
            execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, islice(self._rows, batch))
            execute("COMMIT")
        return count // batch * batch

    def write_singly(self, count: int) -> int:
        """Commit that many events, each by itself."""
        execute = self._connection.execute
        for row in islice(self._rows, count):
            execute("BEGIN IMMEDIATE")
            execute(_INSERT, row)
            execute("COMMIT")
        return count

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
