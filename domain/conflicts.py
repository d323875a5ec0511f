"""The errors of requests that contradict what is the case."""

from __future__ import annotations

from typing import Literal

from .errors import Conflict


class InvalidRunTransition(Conflict):
    """A run was asked to move to a status it cannot reach.

    Args:
        current: the status it has and keeps.
        target: the status asked for.

    """

    def __init__(self, current: str, target: str) -> None:
        super().__init__(current, target)
        self.current, self.target = current, target

    def _message(self) -> str:
        return (
            f"Cannot transition run from '{self.current!s}' to '{self.target!s}'; "
            "it keeps its status: read that again before moving it."
        )


class ConflictError(Conflict):
    """`reject` met a thread with a run in flight.

    Args:
        thread_id: the busy thread.
        active_run_id: the run in flight that is in the way.

    """

    def __init__(self, thread_id: str, active_run_id: str) -> None:
        super().__init__(thread_id, active_run_id)
        self.thread_id, self.active_run_id = thread_id, active_run_id

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' already has run '{self.active_run_id}' in flight: "
            "wait for it, abort it, or choose 'enqueue', 'interrupt' or 'rollback'."
        )


class ThreadBusy(Conflict):
    """A thread must have nothing in flight for what was asked.

    Args:
        thread_id: the busy thread.
        active_run_id: a run in flight.

    """

    def __init__(self, thread_id: str, active_run_id: str) -> None:
        super().__init__(thread_id, active_run_id)
        self.thread_id, self.active_run_id = thread_id, active_run_id

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' has run '{self.active_run_id}' in flight: "
            "wait for it, or cancel it."
        )


class ThreadNotShared(Conflict):
    """A run that takes its thread along, and one that does not, cannot be on the same thread.

    Args:
        thread_id: the thread.
        kind: `temporary`, one that goes with its runs, or `permanent`.

    """

    def __init__(self, thread_id: str, kind: Literal["temporary", "permanent"]) -> None:
        super().__init__(thread_id, kind)
        self.thread_id, self.kind = thread_id, kind

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' is {self.kind}, and takes no runs of the other kind: "
            "name another thread, or give the run another scope."
        )


class RunInFlight(Conflict):
    """A run must have ended for what was asked."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id

    def _message(self) -> str:
        return f"Run '{self.run_id}' is still in flight: abort it and wait first."


class IdempotencyConflict(Conflict):
    """A run id or idempotency key is taken by a run the caller cannot mean.

    Args:
        what: `"run_id"` or `"idempotency_key"`.
        value: the id or key.

    """

    def __init__(self, what: str, value: str) -> None:
        super().__init__(what, value)
        self.what, self.value = what, value

    def _message(self) -> str:
        return (
            f"The {self.what} '{self.value}' belongs to a run on another thread or of "
            "another user: choose a new one."
        )


class QueueFullError(Conflict):
    """The thread's queue of pending runs is full.

    Args:
        thread_id: the thread.
        limit: how many runs may wait on it.

    """

    def __init__(self, thread_id: str, limit: int) -> None:
        super().__init__(thread_id, limit)
        self.thread_id, self.limit = thread_id, limit

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' already has {self.limit} runs waiting: "
            "wait for some to end, abort them, or raise max_queued_runs."
        )


class ThreadExists(Conflict):
    """A thread was to be created whose id is taken.

    Args:
        thread_id: the id.

    """

    def __init__(self, thread_id: str) -> None:
        super().__init__(thread_id)
        self.thread_id = thread_id

    def _message(self) -> str:
        return f"There is a thread '{self.thread_id}' already: choose another id, or use that one."


class ThreadQuarantined(Conflict):
    """The thread's actor failed too often; it admits nothing.

    Args:
        thread_id: the thread.
        cause: the last failure, as text.

    """

    def __init__(self, thread_id: str, cause: str) -> None:
        super().__init__(thread_id, cause)
        self.thread_id, self.cause = thread_id, cause

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' is quarantined, its actor failed again and again "
            f"(last: {self.cause}): report the defect, then call supervisor.recover()."
        )
