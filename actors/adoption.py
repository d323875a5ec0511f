"""Runs that a thread finds in flight when it comes into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..domain.enums import DisconnectMode, RunStatus, StopReason
from ..domain.fence import Fence
from ..domain.views import RunSnapshot
from ..kernel import LoopActor, LoopRef
from ..observers import OpenStream
from ..store.entries import Unfinished
from .book import Phase, RunBook
from .ledger import Ledger
from .messages import FailRun, Start
from .queue import Member
from .recording import OVER
from .recovery import ORPHANED, restarts_orphans
from .run import RunActor

if TYPE_CHECKING:
    from .wiring import Wiring


def adopt(wiring: Wiring, thread: LoopActor, unfinished: Unfinished, fence: Fence) -> Member:
    """Find or make the actor of a run that is in flight.

    A run whose actor lives is taken over as it is. One that was running without an actor
    is an orphan: its agent's policy says whether it fails or is tried again.

    Args:
        wiring: whom to talk to.
        thread: the thread's new actor.
        unfinished: the run as stored.
        fence: for its writes.

    """
    run = unfinished.run
    live = wiring.registry.runs.get(run.run_id)
    actor = None if live is None else live.actor_inbox.actor
    if live is not None and isinstance(actor, RunActor):
        return Member(live, actor.book, thread.kernel.now() + _delay(wiring, run))
    member = _revive(wiring, thread, unfinished, fence)
    wiring.registry.runs[run.run_id] = member.ref
    if run.status is RunStatus.RUNNING:
        # It has its turn already: the queue will not give it another.
        orphaned = FailRun(ORPHANED.error or "", StopReason.ORPHANED)
        member.ref.send(Start() if restarts_orphans(wiring, run) else orphaned)
    return member


def has_turn(member: Member) -> bool:
    """Whether a run was given its turn, though that may not be stored yet, or even begun."""
    if member.book.phase is Phase.QUEUED:
        return any(isinstance(waits, Start) for waits in member.ref.actor_inbox.messages())
    return member.book.phase not in OVER


def live_runs(wiring: Wiring, thread_id: str) -> list[tuple[LoopRef[RunActor], RunBook]]:
    """The live run actors of a thread, in the order they were made.

    Walks over all live runs: for use after a crash only.
    """
    found = []
    for ref in wiring.registry.runs.values():
        actor = ref.actor_inbox.actor
        if isinstance(actor, RunActor) and actor.book.ledger.request.thread_id == thread_id:
            found.append((ref, actor.book))
    return found


def _revive(wiring: Wiring, thread: LoopActor, unfinished: Unfinished, fence: Fence) -> Member:
    run = unfinished.run
    book = RunBook(wiring, Ledger(run, unfinished.sequence + 1, fence))
    book.inherited = run.status is RunStatus.RUNNING
    ref: LoopRef[RunActor] = thread.kernel.spawn(
        RunActor, wiring, thread.actor_ref, book, parent=thread
    )
    leaves = run.request.on_disconnect is DisconnectMode.CANCEL
    wiring.stream.send(
        OpenStream(
            run.run_id,
            run.thread_id,
            fence,
            run.request.resumable,
            unfinished.frames,
            None if unfinished.frames else book.metadata(),
            ref if leaves else None,
        )
    )
    return Member(ref, book, thread.kernel.now() + _delay(wiring, run))


def _delay(wiring: Wiring, run: RunSnapshot) -> float:
    """Never more than was asked for: the clock that told `created_at` may have been ahead."""
    waited = (wiring.kernel.clock.now() - run.created_at).total_seconds()
    return max(0.0, run.request.after_seconds - max(0.0, waited))
