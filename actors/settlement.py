"""How a run's end is written and told, as functions of why it ended."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ..domain.enums import CancelAction, EventCategory, RunStatus, StopReason, ThreadStatus
from ..domain.payload import JSON
from ..store.entries import Entry, NewEvent
from .ledger import Ledger

LastFrames = tuple[tuple[str, JSON], ...]

_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


class Ending(NamedTuple):
    """Why a run is to end otherwise than by its agent's own doing. The first one counts.

    Args:
        action: for an abort; `None` otherwise.
        reason: who or what ends it.
        error: for a failure, `"Type: text"` or a sentence.
        timed_out: its time is up.

    """

    action: CancelAction | None = None
    reason: StopReason | None = None
    error: str | None = None
    timed_out: bool = False

    @property
    def status(self) -> RunStatus:
        """What the run's status will be."""
        if self.action is not None:
            return RunStatus.INTERRUPTED
        return RunStatus.TIMEOUT if self.timed_out else RunStatus.ERROR


def last_frames(ending: Ending | None) -> LastFrames:
    """The frames that close a run's stream: `end`, or `error` and `end`."""
    if ending is None:
        return (("end", {"status": str(RunStatus.SUCCESS)}),)
    end: dict[str, JSON] = {"status": str(ending.status)}
    if ending.action is not None:
        return (("end", {**end, "action": str(ending.action)}),)
    return (("error", error_data(ending.status, ending.error)), ("end", end))


def metadata_of(ledger: Ledger) -> JSON:
    """What the frame says that opens each attempt."""
    request = ledger.request
    return {
        "run_id": str(request.run_id),
        "thread_id": str(request.thread_id),
        "attempt": max(1, ledger.attempt),
    }


def error_text(error: BaseException) -> str:
    """An exception as it is recorded: `"Type: text"`, without the lone surrogates of file names."""
    try:
        text = str(error).encode(errors="replace").decode()
    except Exception:  # noqa: BLE001 - what it says of itself is its own affair
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def error_data(status: RunStatus, error: str | None) -> JSON:
    """What an `error` frame says."""
    kind, colon, text = (error or "").partition(": ")
    if colon and kind.isidentifier():
        return {"error": kind, "message": text}
    return {"error": str(status), "message": error or ""}


def status_after(status: RunStatus, waits_for_human: bool) -> ThreadStatus:
    """How a thread stands when its last run has ended like this."""
    if waits_for_human:
        return ThreadStatus.INTERRUPTED
    return ThreadStatus.ERROR if status in _FAILED else ThreadStatus.IDLE


def end_entry(ledger: Ledger, ending: Ending | None, at: datetime, latest: int | None) -> Entry:
    """The entry that stores a run's end, with its last frames if they are to be kept.

    Args:
        ledger: the run's record; its status moves.
        ending: why it ends; `None` is success.
        at: now.
        latest: how many frames a resumable run has; `None` for any other. One that has
            none gets its first, which died with the process.

    """
    frames: tuple[NewEvent, ...] = ()
    if latest is not None:
        first = () if latest else (("metadata", metadata_of(ledger)),)
        numbered = enumerate(first + last_frames(ending), latest + 1)
        frames = tuple(_frame(ledger, seq, event, data, at) for seq, (event, data) in numbered)
    if ending is None:
        return ledger.completed(at, frames)
    ledger.stop_reason = ending.reason
    if ending.action is not None:
        return ledger.cancelled(ending.action, at, frames)
    return ledger.failed(ending.status, ending.error or "", at, frames)


def _frame(ledger: Ledger, seq: int, event: str, data: JSON, at: datetime) -> NewEvent:
    request = ledger.request
    return NewEvent(
        f"{request.run_id}#{seq}",
        request.thread_id,
        request.run_id,
        EventCategory.FRAME,
        event,
        data,
        at,
        seq,
    )
