"""The closed sets of words that runs are described with."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. Terminal statuses never change."""

    PENDING = "pending"
    """Accepted; waits for its turn, for its delay, or for a predecessor to unwind."""
    RUNNING = "running"
    """Its agent code may be executing, or is still unwinding after an abort."""
    SUCCESS = "success"
    """The agent returned. A graph that stopped to ask a human counts as success."""
    ERROR = "error"
    """The agent raised, or callboard could not carry the run to its end."""
    TIMEOUT = "timeout"
    """The run went past its `timeout`."""
    INTERRUPTED = "interrupted"
    """The run was aborted, with either action, before or after it started."""

    @property
    def is_terminal(self) -> bool:
        """Whether a run with this status has ended for good."""
        return self in TERMINAL


TERMINAL = frozenset({RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.INTERRUPTED})
IN_FLIGHT = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


class MultitaskStrategy(StrEnum):
    """What a new run does to the runs already in flight on its thread."""

    REJECT = "reject"
    """Refuse the new run; leave the others alone."""
    INTERRUPT = "interrupt"
    """Abort them all, keep what they did, then start."""
    ROLLBACK = "rollback"
    """Abort them all, restore the state before them, then start."""
    ENQUEUE = "enqueue"
    """Wait for them, first in, first out."""


class MultitaskDecision(StrEnum):
    """What the thread does with a new run, decided by `MultitaskPolicy`."""

    ALLOW = "allow"
    """The thread is idle: start at once."""
    REJECT = "reject"
    """Answer `ConflictError`."""
    CANCEL_EXISTING = "cancel_existing"
    """Accept, and abort every run in flight."""
    ENQUEUE = "enqueue"
    """Accept, behind the runs in flight."""


class CancelAction(StrEnum):
    """What an abort does with the work of the run it ends."""

    INTERRUPT = "interrupt"
    """Keep what the run did."""
    ROLLBACK = "rollback"
    """Restore the thread's state to what it was before the run."""


class DisconnectMode(StrEnum):
    """What happens to a streamed run when its last consumer goes away."""

    CANCEL = "cancel"
    """It is aborted with `interrupt`."""
    CONTINUE = "continue"
    """It goes on."""


class RunScope(StrEnum):
    """How much of its thread a run leaves behind."""

    STATEFUL = "stateful"
    """It reads and keeps the thread's state."""
    STATELESS = "stateless"
    """Record and events are kept; the state it saved is dropped when it ends."""
    TEMPORARY_THREAD = "temporary_thread"
    """The thread and all that was recorded on it are deleted when the run ends.

    All runs of such a thread have this scope: none takes along what is not its own."""


class ThreadStatus(StrEnum):
    """What a thread is doing, derived from its runs."""

    IDLE = "idle"
    """Nothing in flight."""
    BUSY = "busy"
    """At least one run in flight."""
    INTERRUPTED = "interrupted"
    """Nothing in flight, and the last run stopped to ask a human."""
    ERROR = "error"
    """Nothing in flight, and the last run ended `error` or `timeout`."""


class ThreadOrder(StrEnum):
    """What threads are sorted by."""

    THREAD_ID = "thread_id"
    """The order of their ids."""
    STATUS = "status"
    """The order of the statuses' names."""
    CREATED_AT = "created_at"
    """When they were created."""
    UPDATED_AT = "updated_at"
    """When they were changed last, or a run of theirs was created or ended."""


class LifecycleEventType(StrEnum):
    """The durable facts about a run."""

    RUN_CREATED = "run_created"
    RUN_STARTED = "run_started"
    RUN_RESTARTED = "run_restarted"
    RUN_COMPLETED = "run_completed"
    RUN_FAILED = "run_failed"
    RUN_CANCELLED = "run_cancelled"
    HUMAN_MESSAGE = "human_message"
    THREAD_STATUS_UPDATED = "thread_status_updated"


class EventCategory(StrEnum):
    """Which shelf of the event log a stored event stands on."""

    LIFECYCLE = "lifecycle"
    """A `LifecycleEventType` fact."""
    MESSAGE = "message"
    """A message of the conversation."""
    FRAME = "frame"
    """A stream frame of a resumable run."""


class StopReason(StrEnum):
    """Why a run ended otherwise than by its agent's own doing."""

    ABANDONED = "abandoned"
    """The agent did not unwind within the abort grace; it was fenced and left."""
    ACTOR_CRASHED = "actor_crashed"
    """The run's actor failed: a defect of callboard, not of the agent."""
    FAILED_BY_OPERATOR = "failed_by_operator"
    """`supervisor.fail` was called."""
    STOPPED_BY_OPERATOR = "stopped_by_operator"
    """`supervisor.stop_thread` was called."""
    OBSERVER_FAILED = "observer_failed"
    """An observer that the run requires raised."""
    ORPHANED = "orphaned"
    """The process that owned the run is gone."""
    QUARANTINED = "quarantined"
    """Its thread's actor failed again and again."""
    RESTART_LIMIT = "restart_limit"
    """The agent failed more often than its restart policy allows."""
    ROLLBACK_FAILED = "rollback_failed"
    """The state before the run could not be restored."""
    SHUTDOWN = "shutdown"
    """The runtime closed before the run had ended."""
    SUPERSEDED = "superseded"
    """A newer run on the thread aborted it."""
    ERASED = "erased"
    """Its thread was deleted."""
    DISCONNECTED = "disconnected"
    """Its last consumer went away."""
    WITHDRAWN = "withdrawn"
    """The caller that was creating it was cancelled."""
