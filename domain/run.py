"""The Run aggregate: one transition table, and the events each move leaves behind."""

from __future__ import annotations

from datetime import datetime

from .conflicts import InvalidRunTransition
from .enums import CancelAction, RunStatus
from .events import (
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEvent,
    RunFailed,
    RunStarted,
)
from .identifiers import AssistantId, RunId, ThreadId

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset(
        {
            RunStatus.RUNNING,
            RunStatus.ERROR,
            RunStatus.TIMEOUT,
            RunStatus.INTERRUPTED,
        }
    ),
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.SUCCESS,
            RunStatus.ERROR,
            RunStatus.TIMEOUT,
            RunStatus.INTERRUPTED,
        }
    ),
    RunStatus.SUCCESS: frozenset(),
    RunStatus.ERROR: frozenset(),
    RunStatus.TIMEOUT: frozenset(),
    RunStatus.INTERRUPTED: frozenset(),
}
"""Where a run may go from each status. Going where it already is changes nothing."""


class Run:
    """One execution of an agent on a thread.

    Every move takes `at`, an aware UTC datetime, records one event, and is a no-op when
    the run already has that status.

    Raises:
        InvalidRunTransition: by every `mark_…`, when the table does not allow the move;
            nothing changes then.

    """

    __slots__ = (
        "_events",
        "assistant_id",
        "created_at",
        "error",
        "run_id",
        "status",
        "thread_id",
        "updated_at",
    )

    def __init__(
        self, run_id: RunId, thread_id: ThreadId, assistant_id: AssistantId, at: datetime
    ) -> None:
        self.run_id = run_id
        self.thread_id = thread_id
        self.assistant_id = assistant_id
        self.status = RunStatus.PENDING
        self.error: str | None = None
        self.created_at = at
        self.updated_at = at
        self._events: list[RunEvent] = []

    @classmethod
    def create(cls, run_id: str, thread_id: str, assistant_id: str, at: datetime) -> Run:
        """A new pending run, with its `RunCreated` event.

        Raises:
            InvalidIdentifier: an id is blank.

        """
        run = cls(RunId(run_id), ThreadId(thread_id), AssistantId(assistant_id), at)
        run._events.append(RunCreated(run.run_id, at))
        return run

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended for good."""
        return self.status.is_terminal

    def mark_started(self, at: datetime) -> None:
        """`pending` → `running`."""
        if self._move(RunStatus.RUNNING, at):
            self._events.append(RunStarted(self.run_id, at))

    def mark_completed(self, at: datetime) -> None:
        """`running` → `success`."""
        if self._move(RunStatus.SUCCESS, at):
            self._events.append(RunCompleted(self.run_id, at))

    def mark_failed(self, error: str, at: datetime) -> None:
        """→ `error`, with the error as text."""
        self._fail(RunStatus.ERROR, error, at)

    def mark_timed_out(self, error: str, at: datetime) -> None:
        """→ `timeout`, with what ran out as text."""
        self._fail(RunStatus.TIMEOUT, error, at)

    def mark_cancelled(self, action: CancelAction, at: datetime) -> None:
        """→ `interrupted`."""
        if self._move(RunStatus.INTERRUPTED, at):
            self._events.append(RunCancelled(self.run_id, at, action))

    def pull_events(self) -> tuple[RunEvent, ...]:
        """The events since the last call; a second call returns none."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def _fail(self, status: RunStatus, error: str, at: datetime) -> None:
        if self._move(status, at):
            self.error = error
            self._events.append(RunFailed(self.run_id, at, status, error))

    def _move(self, target: RunStatus, at: datetime) -> bool:
        if target is self.status:
            return False
        if target not in TRANSITIONS[self.status]:
            raise InvalidRunTransition(self.status, target)
        self.status = target
        self.updated_at = at
        return True
