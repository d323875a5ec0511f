"""The records in memory, with their indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import takewhile

from ...domain.enums import TERMINAL, RunStatus
from ...domain.run import TRANSITIONS
from ...domain.views import RunSnapshot
from ..entries import Overtaking, RunChange, RunCompletion
from .run_row import RunRow


class _Timeline:
    """Rows by id, in the order of a time; of the same time, in that of insertion."""

    __slots__ = ("_latest", "_time_of", "rows")

    def __init__(self, time_of: Callable[[RunRow], datetime]) -> None:
        self.rows: dict[str, RunRow] = {}
        self._time_of = time_of
        self._latest: datetime | None = None

    def add(self, row: RunRow) -> None:
        """Put a row in its place: the end, unless a host inserts old records."""
        at = self._time_of(row)
        self.rows[row.request.run_id] = row
        if self._latest is None or at >= self._latest:
            self._latest = at
        else:
            ordered = sorted(self.rows.items(), key=lambda item: self._time_of(item[1]))
            self.rows = dict(ordered)

    def last(self) -> RunRow | None:
        """The latest row."""
        return next(reversed(self.rows.values()), None)

    def back_to(self, run_id: str | None) -> list[RunRow]:
        """The rows from a certain one on; none without one."""
        if run_id is None:
            return []
        later = takewhile(lambda row: row.request.run_id != run_id, reversed(self.rows.values()))
        return [self.rows[run_id], *reversed(list(later))]


class ThreadRuns:
    """The records of one thread. There is one while the thread has a record."""

    __slots__ = ("created", "ended", "in_flight", "keys", "owner", "shared")

    def __init__(self, owner: str | None) -> None:
        self.owner = owner
        self.shared = False
        """Whether it had runs of several users."""
        self.created = _Timeline(_creation)
        self.ended = _Timeline(_end)
        self.in_flight: dict[str, RunRow] = {}
        self.keys: dict[str, RunRow] = {}

    def overtaking(self) -> Iterator[Overtaking]:
        """The runs that ended though they came after one in flight."""
        since = self.created.back_to(next(iter(self.in_flight), None))
        place = 0
        for row in since:
            if row.request.run_id in self.in_flight:
                place += 1
            else:
                ended = row.snapshot()
                yield Overtaking(ended.request.multitask_strategy, ended.stop_reason, place)


class RunTable:
    """Records by id, by thread, by idempotency key, and those in flight.

    A thread that lost its last record keeps its owner as long as something is kept of it, which
    is nobody else's.

    Args:
        is_kept: whether a thread's own record, or a plain agent's state, is kept.
        owner_of: whose thread it was recorded as.

    Invariant: a row is in its thread's and the table's `in_flight`, or in its thread's
    `ended`, as its status says.

    """

    def __init__(
        self, is_kept: Callable[[str], bool], owner_of: Callable[[str], str | None]
    ) -> None:
        self.is_kept = is_kept
        self._owner_of = owner_of
        self._rows: dict[str, RunRow] = {}
        self._threads: dict[str, ThreadRuns] = {}
        self._in_flight: dict[str, RunRow] = {}

    # Reading.

    def get(self, run_id: str, user_id: str | None = None) -> RunRow | None:
        """A record that this user may see."""
        row = self._rows.get(run_id)
        return row if row and user_id in (None, row.request.user_id) else None

    def may_see(self, run_id: str, user_id: str | None) -> bool:
        """Whether a user may see a run's events."""
        return user_id is None or self.get(run_id, user_id) is not None

    def may_see_thread(self, thread_id: str, user_id: str | None) -> bool:
        """Whether there may be something for a user on a thread."""
        if user_id is None:
            return True
        thread = self._threads.get(thread_id)
        return thread is not None and (thread.shared or thread.owner == user_id)

    def thread(self, thread_id: str) -> ThreadRuns | None:
        """The records of a thread."""
        return self._threads.get(thread_id)

    def owner(self, thread_id: str) -> str | None:
        """Whose a thread is."""
        thread = self._threads.get(thread_id)
        return self._owner_of(thread_id) if thread is None else thread.owner

    def thread_ids(self) -> tuple[str, ...]:
        """The threads that have records, or had."""
        return tuple(self._threads)

    def in_flight(self) -> Iterator[RunRow]:
        """All pending and running runs, oldest first."""
        return iter(sorted(self._in_flight.values(), key=_creation))

    # Writing.

    def insert(self, run: RunSnapshot) -> bool:
        """Insert, unless the id, or the key on its thread, is taken."""
        request = run.request
        run_id, thread_id, key = request.run_id, request.thread_id, request.idempotency_key
        if run_id in self._rows:
            return False
        thread = self._threads.get(thread_id)
        if thread is None:
            owner = self._owner_of(thread_id) or request.user_id
            thread = self._threads[thread_id] = ThreadRuns(owner)
            thread.shared = request.user_id != owner
        elif key is not None and key in thread.keys:
            return False
        elif request.user_id != thread.owner:
            thread.shared = True
        row = self._rows[run_id] = RunRow(run)
        thread.created.add(row)
        if key is not None:
            thread.keys[key] = row
        if row.status in TERMINAL:
            thread.ended.add(row)
        else:
            self._in_flight[run_id] = thread.in_flight[run_id] = row
        return True

    def change(self, change: RunChange) -> bool:
        """Compare-and-set."""
        row = self._rows.get(change[0])
        target = change[2]
        if row is None or row.status is not change[1] or not _allows(row, target):
            return False
        row.apply(change)
        if target in TERMINAL:
            self._ended(row, change.at)
        return True

    def complete(
        self,
        run_id: str,
        status: RunStatus,
        completion: RunCompletion,
        at: datetime,
        error: str | None,
    ) -> bool:
        """Store a run's end, or more of what is known of it."""
        row = self._rows.get(run_id)
        if row is None or not _allows(row, status):
            return False
        return self.change(
            RunChange(run_id, row.status, status, at, error=error, completion=completion)
        )

    def _ended(self, row: RunRow, at: datetime) -> None:
        run_id = row.request.run_id
        if self._in_flight.pop(run_id, None) is None:
            return  # it had ended before: what came late was added
        row.finished_at = at
        thread = self._threads[row.request.thread_id]
        del thread.in_flight[run_id]
        thread.ended.add(row)

    def remove(self, run_id: str) -> bool:
        """Delete a record."""
        row = self._rows.pop(run_id, None)
        if row is None:
            return False
        thread = self._threads[row.request.thread_id]
        del thread.created.rows[run_id]
        thread.ended.rows.pop(run_id, None)
        thread.in_flight.pop(run_id, None)
        self._in_flight.pop(run_id, None)
        if row.request.idempotency_key is not None:
            thread.keys.pop(row.request.idempotency_key, None)
        if not thread.created.rows and not self.is_kept(row.request.thread_id):
            del self._threads[row.request.thread_id]
        return True

    def remove_thread(self, thread_id: str) -> None:
        """Delete all records of a thread."""
        thread = self._threads.get(thread_id)
        for run_id in tuple(thread.created.rows) if thread else ():
            self.remove(run_id)


def _allows(row: RunRow, target: RunStatus) -> bool:
    return target is row.status or target in TRANSITIONS[row.status]


def _creation(row: RunRow) -> datetime:
    return row.created_at


def _end(row: RunRow) -> datetime:
    return row.finished_at or row.updated_at
