"""What callboard needs of a store. Each implementation passes the same contract suite.

Writes of the runtime go through `Store.commit` alone, in groups, each entry with its
fence. The single-row methods of `RunStore` and `EventLog` serve hosts, tools and tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from ..domain.enums import EventCategory, RunStatus
from ..domain.identifiers import Slot
from ..domain.payload import JSON
from ..domain.queries import SearchThreadsQuery
from ..domain.views import (
    RunSnapshot,
    RunUsage,
    StoredRunEvent,
    ThreadSnapshot,
    ThreadTokens,
)
from .entries import (
    Entry,
    NewEvent,
    Outcome,
    Pruned,
    RunChange,
    RunCompletion,
    ThreadRecord,
    Unfinished,
)


@runtime_checkable
class RunStore(Protocol):
    """The records of runs.

    With `user_id`, rows of other users do not exist; `None` is single-user mode.
    """

    async def put(self, run: RunSnapshot) -> bool:
        """Insert a record, unless its `run_id`, or its key on its thread, is taken.

        Returns:
            whether it was inserted.

        """
        ...

    async def get(self, run_id: str, *, user_id: str | None = None) -> RunSnapshot | None:
        """The record, or `None`."""
        ...

    async def find_by_key(self, thread_id: str, idempotency_key: str) -> RunSnapshot | None:
        """The run that was created on this thread with this key, or `None`."""
        ...

    async def load_thread(self, thread_id: str) -> ThreadRecord:
        """What is in flight on a thread, whose it is, and how its last run ended."""
        ...

    async def list_by_thread(
        self,
        thread_id: str,
        *,
        user_id: str | None = None,
        limit: int = 100,
        offset: int = 0,
        status: RunStatus | None = None,
    ) -> list[RunSnapshot]:
        """Records of a thread, newest first; of the same age, the last inserted first."""
        ...

    async def update_status(self, change: RunChange) -> bool:
        """Compare-and-set. The status expected may be the target: the rest is written.

        Returns:
            `False` when no row moved: unknown run, not in the expected status, or a move
            that the table of transitions does not have.

        """
        ...

    async def update_model_name(self, run_id: str, model_name: str | None) -> bool:
        """Set the model's name: stripped, at most 128 characters, blank is `None`.

        Returns:
            whether the run exists.

        """
        ...

    async def update_run_completion(
        self,
        run_id: str,
        status: RunStatus,
        completion: RunCompletion,
        at: datetime,
        *,
        error: str | None = None,
    ) -> bool:
        """Store a run's end, at `at`. A terminal status is never replaced by another.

        Returns:
            whether the row moved or already had that status.

        """
        ...

    async def update_run_progress(self, run_id: str, usage: RunUsage) -> bool:
        """Store what a running run spent so far. Its status does not change.

        Returns:
            `False` when the run is not `running`.

        """
        ...

    async def delete(self, run_id: str, *, user_id: str | None = None) -> bool:
        """Delete a record and its events. An absent one is a no-op.

        Returns:
            whether there was one.

        """
        ...

    async def list_pending(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` runs, oldest first; with `before`, those created earlier."""
        ...

    async def list_inflight(
        self, *, before: datetime | None = None, user_id: str | None = None
    ) -> list[RunSnapshot]:
        """All `pending` and `running` runs, oldest first; with `before`, as above."""
        ...

    async def list_unfinished(self) -> list[Unfinished]:
        """All runs in flight, with how far their events go, oldest first."""
        ...

    async def aggregate_tokens_by_thread(
        self, thread_id: str, *, include_active: bool = False, user_id: str | None = None
    ) -> ThreadTokens:
        """What a thread's ended runs used, by model and caller.

        Args:
            thread_id: the thread.
            include_active: count `running` ones too.
            user_id: whose.

        """
        ...


@runtime_checkable
class EventLog(Protocol):
    """The append-only log: lifecycle events, messages, and frames of resumable runs.

    `seq` strictly increases within a thread, also across runs and deletions; `position`
    in the whole log. Neither need be dense, nor start at 1. A run's events are all on one
    thread. With `user_id`, only events of runs that this user's record is known of.
    """

    async def append(self, events: Sequence[NewEvent]) -> list[StoredRunEvent]:
        """Append events of one thread: all or none.

        Raises:
            InvalidValue: the batch mixes threads, or a run is on another thread.

        """
        ...

    async def list_messages(
        self,
        thread_id: str,
        *,
        run_id: str | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """A page of a thread's messages, ascending; the newest page without bounds.

        `before_seq` and `after_seq` are exclusive. With `after_seq` it is the page next to
        it, else the one next to `before_seq`.
        """
        ...

    async def list_messages_by_run(
        self,
        run_id: str,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """The same for one run."""
        ...

    async def list_events_by_run(
        self,
        run_id: str,
        *,
        limit: int = 500,
        after_seq: int | None = None,
        types: Iterable[str] | None = None,
        categories: Iterable[EventCategory] | None = None,
        user_id: str | None = None,
    ) -> list[StoredRunEvent]:
        """A run's events, ascending. `types` and `categories` narrow them."""
        ...

    async def list_frames(
        self, run_id: str, *, after: int = 0, limit: int = 500
    ) -> list[StoredRunEvent]:
        """A resumable run's stored frames, by their own number (`sequence`), ascending."""
        ...

    async def read(
        self, *, after: int = 0, limit: int = 500, category: EventCategory | None = None
    ) -> list[StoredRunEvent]:
        """The whole log in the order of `position`, for observers that catch up."""
        ...

    async def head(self) -> int:
        """The last `position` that was given; 0 for a new log."""
        ...

    async def delete_by_run(self, run_id: str) -> int:
        """Delete a run's events. Returns how many there were."""
        ...

    async def delete_by_thread(self, thread_id: str) -> int:
        """Delete a thread's events. Returns how many there were."""
        ...

    async def load_cursor(self, name: str) -> int | None:
        """How far the observer of that name has been told, or `None`."""
        ...

    async def save_cursor(self, name: str, position: int) -> None:
        """Remember how far an observer has been told."""
        ...


@runtime_checkable
class CheckpointStore(Protocol):
    """A thread's state as plain agents save it. It is written by `Store.commit`, like all else."""

    async def load(self, thread_id: str) -> JSON:
        """The thread's state, or `None`."""
        ...


@runtime_checkable
class ThreadStore(Protocol):
    """The records of threads. They are written by `Store.commit`, like all else.

    A thread exists when it was recorded by itself, or has a run on record; it is gone once it
    is erased. Its status is what its runs make it. With `user_id`, threads of other users do
    not exist; `None` is single-user mode.
    """

    async def get(self, thread_id: str, *, user_id: str | None = None) -> ThreadSnapshot | None:
        """The thread, or `None`."""
        ...

    async def search(self, query: SearchThreadsQuery) -> list[ThreadSnapshot]:
        """A page of the threads that the query names, in its order."""
        ...

    async def count(self, query: SearchThreadsQuery) -> int:
        """How many threads the query names, on all pages."""
        ...


@runtime_checkable
class Store(Protocol):
    """All of it, with the one way in for the runtime's own writes."""

    @property
    def runs(self) -> RunStore:
        """The records."""
        ...

    @property
    def events(self) -> EventLog:
        """The log."""
        ...

    @property
    def checkpoints(self) -> CheckpointStore:
        """The state of plain agents."""
        ...

    @property
    def threads(self) -> ThreadStore:
        """What is recorded of threads themselves."""
        ...

    async def open(self) -> None:
        """Make the store ready. Calling it twice is harmless."""
        ...

    @property
    def lease(self) -> float | None:
        """Seconds a claim holds unless it is renewed; `None`: as long as the process lives."""
        ...

    @property
    def heartbeat(self) -> float | None:
        """Seconds between two calls of `renew`; `None`: it need not be called."""
        ...

    async def claim(self, slots: Iterable[Slot]) -> int:
        """Become the owner of `slots`: raises their epoch.

        Returns:
            the new epoch, the same for all of them.

        Raises:
            StoreOwned: another living process owns one of them.

        """
        ...

    async def renew(self) -> frozenset[Slot]:
        """Prolong every claim. Returns the slots that are still this store's."""
        ...

    async def abandoned(self) -> frozenset[Slot]:
        """The slots whose owner is gone."""
        ...

    async def release(self) -> None:
        """Own nothing any more, so that others may at once."""
        ...

    def commit(self, group: Sequence[Entry]) -> list[Outcome] | Awaitable[list[Outcome]]:
        """Write a group of entries, in order, each all or nothing.

        A group whose fate is unknown may be committed again, unchanged: an entry with
        events, all of them stored already, is `APPLIED` once more and nothing is written
        twice. Without events nothing tells whose doing it was: an insert is then
        `DUPLICATE`, and a change may be `STALE`.

        Returns:
            one outcome an entry. A store in memory has nothing to wait for and answers
            at once; others return an awaitable.

        Raises:
            OutcomeUnknown: it may be stored, or a part of it. Commit the same group again,
                before any other: the answer will say what has become of it.
            StoreUnavailable: nothing of it is stored.

        """
        ...

    async def close(self) -> None:
        """Release everything. Calling it twice is harmless."""
        ...


@runtime_checkable
class Prunable(Protocol):
    """A store that deletes what is old when it is told to."""

    async def prune(self, *, before: datetime | None = None, keep: int | None = None) -> Pruned:
        """Delete ended runs: those that ended before a moment, or are not the last `keep`.

        Returns:
            what was deleted.

        Raises:
            InvalidValue: neither is given, or an argument cannot be used.

        """
        ...
