"""Runs that a thread finds in flight when it comes into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..domain.enums import DisconnectMode, EventCategory, RunStatus, StopReason
from ..domain.errors import UnknownAgent
from ..domain.fence import Fence
from ..domain.views import RunSnapshot, StoredRunEvent
from ..kernel import LoopActor, LoopRef
from ..observers import OpenStream
from .book import RunBook
from .ledger import Ledger
from .messages import FailRun
from .queue import Member
from .run import RunActor

if TYPE_CHECKING:
    from .wiring import Wiring

_PAGE = 1000


async def adopt(wiring: Wiring, thread: LoopActor, run: RunSnapshot, fence: Fence) -> Member:
    """Find or make the actor of a run that is in flight.

    A run whose actor lives is taken over as it is. One that was running without an actor
    is an orphan: its agent's policy says whether it fails or is tried again.

    Args:
        wiring: whom to talk to.
        thread: the thread's new actor.
        run: the run as stored.
        fence: for its writes.

    """
    live = wiring.registry.runs.get(run.run_id)
    actor = None if live is None else live.actor_inbox.actor
    if live is not None and isinstance(actor, RunActor):
        return Member(live, actor.book, thread.kernel.now())
    member = await _revive(wiring, thread, run, fence)
    wiring.registry.runs[run.run_id] = member.ref
    if run.status is RunStatus.RUNNING and not _restarts(wiring, run):
        error = "The process that ran it is gone."
        member.ref.send(FailRun(error, StopReason.ORPHANED))
    return member


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


async def _revive(wiring: Wiring, thread: LoopActor, run: RunSnapshot, fence: Fence) -> Member:
    lifecycle = await _last(wiring, run.run_id, EventCategory.LIFECYCLE)
    frames = await _last(wiring, run.run_id, EventCategory.FRAME)
    book = RunBook(wiring, Ledger(run, _sequence(lifecycle) + 1, fence))
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
            _sequence(frames),
            book.metadata(),
            ref if leaves else None,
        )
    )
    return Member(ref, book, thread.kernel.now() + _delay(wiring, run))


def _delay(wiring: Wiring, run: RunSnapshot) -> float:
    waited = (wiring.kernel.clock.now() - run.created_at).total_seconds()
    return max(0.0, run.request.after_seconds - waited)


def _restarts(wiring: Wiring, run: RunSnapshot) -> bool:
    try:
        return wiring.agents.policy(run.assistant_id).on_orphan == "restart"
    except UnknownAgent:
        return False


async def _last(wiring: Wiring, run_id: str, category: EventCategory) -> StoredRunEvent | None:
    last, after = None, None
    while page := await wiring.store.events.list_events_by_run(
        run_id, limit=_PAGE, after_seq=after, categories=[category]
    ):
        last, after = page[-1], page[-1].seq
    return last


def _sequence(event: StoredRunEvent | None) -> int:
    return 0 if event is None else event.sequence or 0
