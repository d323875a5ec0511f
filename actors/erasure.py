"""The erasing half of a thread's actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..domain.enums import CancelAction, StopReason
from ..domain.errors import ThreadNotFound
from ..kernel import LoopFuture, handles
from ..observers import Append, Committed, ForgetThread
from ..store.entries import Entry, Verdict
from .admission import AdmittingActor
from .messages import EraseThread, Release
from .queue import Member

if TYPE_CHECKING:
    from .wiring import Wiring

_DELETED, _PARTED = "deleted", "parted"
"""What the entry given to the journal was about: a caller's wish, or the end of its last run."""


class ErasingActor(AdmittingActor):
    """Deletes its thread when it is asked to, once no code of its runs executes any more.

    Until then data messages wait; then they are told that there is no such thread.

    Args:
        wiring: whom to talk to.
        thread_id: the thread.
        quarantine: why it admits nothing, if so.

    """

    def __init__(self, wiring: Wiring, thread_id: str, quarantine: str | None) -> None:
        super().__init__(wiring, thread_id, quarantine)
        self._erasers: list[LoopFuture[Any]] = []
        """Who waits for the thread to be deleted."""
        self._erasing = False
        self._parting: Member | None = None
        """The last run of a thread that goes with it; let go once it is deleted."""

    def _abort_all(self, action: CancelAction, reason: StopReason) -> tuple[str, ...]:
        raise NotImplementedError

    def _leave(self, cause: BaseException | None = None) -> None:
        raise NotImplementedError

    @handles(EraseThread)
    def _erase(self, message: EraseThread) -> None:
        self._check_user(message.user_id)
        reply = self.defer()
        if reply is not None:
            self._erasers.append(reply)
        self._erasing = True
        self.pause()
        self._abort_all(CancelAction.INTERRUPT, StopReason.ERASED)
        self._erase_if_quiet()

    def _part_with(self, run: Member) -> None:
        """Delete the thread with its last run: whoever waits for that finds neither.

        What is being admitted is decided first: the thread may go on with it.
        """
        self._parting = run
        if not self._is_admitting():
            self._part()

    def _admission_over(self) -> None:
        if self._parting is None or self._erasing:
            return
        if self._queue:
            self._let_go()  # the thread goes with a later run
        else:
            self._part()

    def _part(self) -> None:
        self._erasing = True
        self.pause()
        self._erase_if_quiet()

    def _let_go(self) -> None:
        """Whoever waits for the run that the thread was to go with, is told."""
        parting, self._parting = self._parting, None
        if parting is not None:
            self._release(parting)

    def _release(self, run: Member) -> None:
        self._wiring.registry.runs.pop(run.book.ledger.request.run_id, None)
        run.ref.send(Release())

    def _erase_if_quiet(self) -> None:
        if self._erasing and not self._queue:
            asked = bool(self._erasers)
            entry = Entry(self._fence, erase_thread=self._thread_id, unless_recorded=not asked)
            about = _DELETED if asked else _PARTED
            self._wiring.journal.send(Append(entry, self.actor_ref, about))

    @handles(Committed, system=True)
    def _committed(self, message: Committed) -> None:
        if message.tag == _PARTED and message.outcome.verdict is Verdict.STALE:
            self._spared()
        elif message.tag in (_DELETED, _PARTED):
            self._erased(deleted=message.tag == _DELETED)
        else:
            super()._committed(message)

    def _spared(self) -> None:
        """Somebody has recorded the thread meanwhile: it stays."""
        if self._erasing and not self._erasers:
            self._let_go()
            self._erasing, self._known, self._temporary = False, True, False
            self.resume()
            self._leave()

    def _erased(self, *, deleted: bool) -> None:
        if deleted or self._erasers:  # they need not wait for an entry of their own
            self._wiring.stream.send(ForgetThread(self._thread_id))
        if not self._erasing:
            return  # the last incarnation asked for it, and failed
        self._let_go()
        if self._erasers:
            for reply in self._erasers:
                reply.set(None)
            self._leave(ThreadNotFound(self._thread_id))
        else:
            self._erasing, self._known, self._owner, self._temporary = False, False, None, None
            self.resume()
            self._leave()
