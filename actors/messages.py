"""What threads, runs and the supervisor say to each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..domain.commands import CreateRunCommand
from ..domain.enums import CancelAction, RunStatus, StopReason
from ..domain.payload import JSON

if TYPE_CHECKING:
    from ..kernel import LoopRef
    from ..observers import Cursor
    from .executors.base import AttemptOutput

# To a thread.


class Create(NamedTuple):
    """Admit a run. Answers its `RunSnapshot`, or an error with nothing done.

    Args:
        command: what is asked for.
        chosen: the caller chose the run id, and may have sent the command before.

    """

    command: CreateRunCommand
    chosen: bool = False


class Withdraw(NamedTuple):
    """The caller of an unanswered `Create` has gone away: end it before it begins."""

    run_id: str


class RunSettled(NamedTuple):
    """A run's end is stored.

    Args:
        run_id: the run.
        status: how it ended.
        waits_for_human: it stopped to ask.
        sequence: the next place in its lifecycle events.
        forgotten: it was rolled back, and has no record any more.

    """

    run_id: str
    status: RunStatus
    waits_for_human: bool
    sequence: int
    forgotten: bool = False


class NextIsDue(NamedTuple):
    """The delay of the next queued run may be over."""


class Passivate(NamedTuple):
    """Leave memory, if nothing is in flight and nothing waits."""


class AbortAll(NamedTuple):
    """Abort every run in flight. Answers their ids."""

    action: CancelAction
    reason: StopReason


class EraseThread(NamedTuple):
    """Abort every run in flight, then delete all that is recorded of the thread.

    Answers when it is deleted; what comes meanwhile finds no thread.
    """

    user_id: str | None


class Recorded(NamedTuple):
    """The thread has a record of its own now."""

    user_id: str | None


class WhileIdle(NamedTuple):
    """Do something that no run of the thread may be beside. Answers what it returns.

    Runs that are asked for meanwhile wait.
    """

    work: Callable[[], Awaitable[Any]]
    user_id: str | None


class Quarantine(NamedTuple):
    """Admit nothing and fail what is in flight; with `cause=None` be as before again."""

    cause: str | None


class ThreadStatusQuery(NamedTuple):
    """Answers the `ThreadStatus`, if the user may see the thread."""

    user_id: str | None


class Ping(NamedTuple):
    """Answers when what was sent before has been handled."""


class Describe(NamedTuple):
    """Answers a `ThreadNode` or a `RunNode`."""


# To a run.


class Start(NamedTuple):
    """It is this run's turn."""


class Recover(NamedTuple):
    """To a new incarnation: the last one failed with this. Take the run to its end."""

    crash: BaseException


class Abort(NamedTuple):
    """End early.

    Args:
        action: what becomes of its work.
        reason: who wants it; `None` for a caller's `cancel`.
        wait: answer when the end is stored; else at once.

    Answers whether the abort ends, or will end, the run.

    """

    action: CancelAction
    reason: StopReason | None = None
    wait: bool = False


class FailRun(NamedTuple):
    """End with `error`. Answers whether it will."""

    error: str
    reason: StopReason | None = None


class RestartRun(NamedTuple):
    """Begin a new attempt, when `delay` seconds are over and the old one has unwound.

    Answers whether it will.
    """

    delay: float
    cause: str


class Announce(NamedTuple):
    """From a new incarnation of the thread: if the end is stored, say so again."""


class Wait(NamedTuple):
    """Answers the `RunResult` when the end is stored and the thread knows it."""


class Release(NamedTuple):
    """The thread knows of the end: let everybody go."""


class AttemptEnded(NamedTuple):
    """An attempt's code has unwound.

    Args:
        attempt: which one.
        output: what it returned.
        error: or what it raised.

    """

    attempt: int
    output: AttemptOutput | None
    error: BaseException | None


class Restored(NamedTuple):
    """The state before the run is back, or not."""

    error: BaseException | None


class TimeIsUp(NamedTuple):
    """The run's `timeout` is over."""


class GraceIsUp(NamedTuple):
    """The attempt has had `abort_grace` to unwind.

    Args:
        attempt: which one.

    """

    attempt: int


class Record(NamedTuple):
    """From an agent: keep this with the run.

    Args:
        attempt: which attempt says so.
        kind: `"message"`, `"usage"` or `"title"`.
        data: its content.

    """

    attempt: int
    kind: str
    data: JSON


# To the supervisor.


class Activate(NamedTuple):
    """Bring a thread's actor into memory and hand it `message`, whose reply is the answer."""

    thread_id: str
    message: object


class ThreadIdle(NamedTuple):
    """Nothing is in flight on a thread any more."""

    thread_id: str


class ThreadGone(NamedTuple):
    """A thread's actor has left memory."""

    thread_id: str


class AttemptFailed(NamedTuple):
    """An agent raised. The run gets `RestartRun` or `FailRun`."""

    run_id: str
    thread_id: str
    assistant_id: str
    attempt: int
    error: BaseException
    restarts: tuple[float, ...]
    """When it was restarted before, in the kernel's time."""


class AttemptAbandoned(NamedTuple):
    """An agent did not unwind in time and was fenced.

    Args:
        run_id: its run.
        thread_id: its thread.
        task: its code, which still executes.

    """

    run_id: str
    thread_id: str
    task: asyncio.Task[Any]


class RunCrashed(NamedTuple):
    """A run's actor failed and was replaced to settle its run."""

    run_id: str
    thread_id: str
    error: BaseException


class AddObserver(NamedTuple):
    """Look after an observer's actor.

    Args:
        name: the observer's name.
        ref: its actor.
        cursor: where it stands.
        arguments: for its actor's next incarnation.

    """

    name: str
    ref: LoopRef[Any]
    cursor: Cursor
    arguments: tuple[Any, ...]


class RemoveObserver(NamedTuple):
    """Unbind it."""

    name: str
