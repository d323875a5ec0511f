"""What every actor of a runtime shares."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pykka

from ..domain.commands import check_seconds
from ..domain.errors import InvalidValue, RuntimeClosed
from ..domain.fence import Fence
from ..domain.identifiers import Slot, slot_of
from ..domain.store_errors import SlotNotOwned
from ..domain.views import RunSnapshot
from ..kernel import Kernel, LoopRef
from ..store.ports import Store

if TYPE_CHECKING:
    from .agents import Agents
    from .executors.workers import Workers
    from .run import RunActor
    from .thread import ThreadActor


_MOST_GONE = 1000
"""Runs without a record whose ends are remembered."""
_LEAST = {
    "max_queued_runs": 0,
    "mailbox_capacity": 1,
    "buffer_frames": 256,
    "keep_streams": 0,
    "crash_limit": 0,
    "max_workers": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers a runtime is given. All durations are seconds.

    Args:
        abort_grace: how long an aborted agent may take to unwind.
        drain_timeout: how long a closing runtime lets its runs finish.
        max_queued_runs: runs that may wait on one thread.
        passivate_after: how long an idle thread stays in memory.
        mailbox_capacity: messages that may wait for one thread.
        buffer_frames: frames kept for each run.
        keep_streams: ended runs whose frames are kept.
        keep_stream_seconds: how long at most.
        crash_limit: failures of one thread's actor, or one observer's, within
            `crash_window`, after which it is given up.
        crash_window: the period that goes with it.
        max_workers: OS threads for plain agents.
        store_timeout: how long `create_run` waits for the store.

    Raises:
        InvalidValue: a number is out of range.

    """

    abort_grace: float = 30.0
    drain_timeout: float = 30.0
    max_queued_runs: int = 1000
    passivate_after: float = 60.0
    mailbox_capacity: int = 10_000
    buffer_frames: int = 4096
    keep_streams: int = 1000
    keep_stream_seconds: float = 300.0
    crash_limit: int = 3
    crash_window: float = 60.0
    max_workers: int = 64
    store_timeout: float = 30.0

    def __post_init__(self) -> None:
        for name in (
            "abort_grace",
            "drain_timeout",
            "passivate_after",
            "keep_stream_seconds",
            "crash_window",
            "store_timeout",
        ):
            check_seconds(getattr(self, name), name)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidValue(name, value, f"give a whole number, {least} or more")


@dataclass(slots=True)
class Registry:
    """Who is in memory, found in constant time. Changed on the loop only."""

    threads: dict[str, LoopRef[ThreadActor]] = field(default_factory=dict)
    """Written by the supervisor, and by a thread that leaves."""
    runs: dict[str, LoopRef[RunActor]] = field(default_factory=dict)
    """Written by the run's thread."""
    closing: bool = False
    """Nothing more is admitted."""
    handing_over: bool = False
    """What is in flight is left to others: no run begins any more."""
    gone: OrderedDict[str, RunSnapshot] = field(default_factory=OrderedDict)
    """The last runs whose records went with their ends, for who still waits for them."""

    def remember(self, run: RunSnapshot) -> None:
        """Keep the end of a run that has no record any more, for a while."""
        self.gone[run.run_id] = run
        if len(self.gone) > _MOST_GONE:
            self.gone.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Whom an actor talks to."""

    kernel: Kernel
    store: Store
    agents: Agents
    workers: Workers
    registry: Registry
    settings: Settings
    epochs: dict[Slot, int]
    """The slots this runtime owns, and the epoch of each."""
    journal: LoopRef[Any]
    stream: LoopRef[Any]
    supervisor: LoopRef[Any]

    @property
    def complete(self) -> bool:
        """Whether the actors live without which the runtime ends."""
        return all(ref.is_alive() for ref in (self.supervisor, self.journal, self.stream))

    async def ask(self, vital: LoopRef[Any], message: Any) -> Any:
        """Have one of these actors answer.

        Raises:
            RuntimeClosed: it has failed, or the runtime has ended.

        """
        try:
            return await vital.request(message)
        except pykka.ActorDeadError as error:
            raise ended(error.__cause__) from error

    def fence(self, thread_id: str) -> Fence:
        """For writes to a thread.

        Raises:
            SlotNotOwned: the thread's slot belongs to another process.

        """
        slot = slot_of(thread_id)
        epoch = self.epochs.get(slot)
        if epoch is None:
            raise SlotNotOwned(thread_id, slot)
        return Fence(slot, epoch)


def ended(failure: BaseException | None) -> RuntimeClosed:
    """Why nothing answers: a vital actor failed with this, or the runtime was closed."""
    if failure is None:
        return RuntimeClosed("closed")
    return RuntimeClosed(f"failed ({failure!r})", "make a new one and recover")
