"""How actors fail and stop, and who is told."""

from __future__ import annotations

from typing import Any

import pykka
import structlog
from pykka.messages import _ActorStop

from .dead_letters import DeadLetters
from .mailbox import Envelope, Mailbox
from .messages import Crashed, Terminated
from .ref import LoopRef

_log = structlog.get_logger("callboard.kernel")


class Ends:
    """The part of the kernel that ends actors.

    A failing `ask` answers its caller, and the actor lives unless it says otherwise. A
    failing `tell` ends the actor: a supervised one is suspended until its parent decides,
    any other stops. Whoever waits for a stopped actor is answered.
    """

    def __init__(self) -> None:
        self.dead_letters = DeadLetters()
        """What reached nobody."""
        self.closed = False
        """The kernel takes nothing more."""
        self._mailboxes: dict[int, Mailbox] = {}

    def post(self, mailbox: Mailbox, envelope: Envelope[Any]) -> None:
        """Deliver an envelope, from any OS thread."""
        raise NotImplementedError

    def _failed(self, mailbox: Mailbox, envelope: Envelope[Any], error: Exception) -> None:
        actor = mailbox.actor
        if envelope.reply_to is not None:
            envelope.reply_to.set_exception(error)  # type: ignore[arg-type]
            if actor is None or not actor.fails_on(error):
                return
        self._crash(mailbox, error)

    def _crash(self, mailbox: Mailbox, error: Exception) -> None:
        actor = mailbox.actor
        _log.error("actor_failed", actor=repr(mailbox), error=repr(error), exc_info=error)
        if actor is not None:
            try:
                actor.on_failure(type(error), error, error.__traceback__)
            except Exception as second:  # noqa: BLE001 - a failing hook must not hide the failure
                _log.error("on_failure_failed", actor=repr(mailbox), exc_info=second)
        parent = mailbox.parent
        if not mailbox.actor_class.supervised or parent is None or parent.stopped:
            self.stop_now(mailbox, error)
            return
        mailbox.suspended = True
        if parent.failed is None:
            parent.failed = []
        parent.failed.append(mailbox)
        if mailbox.task is not None:  # what the failed incarnation still does counts no more
            mailbox.task.cancel()
        self.post(parent, Envelope(Crashed(LoopRef(mailbox), error)))

    def undecided(self, parent: LoopRef[Any]) -> list[LoopRef[Any]]:
        """The actors that failed and wait for their parent to decide.

        For a parent that failed itself: what it was told may be lost.
        """
        return [LoopRef(child) for child in parent.actor_inbox.failed or ()]

    def _perish(self, mailbox: Mailbox, envelope: Envelope[Any], error: BaseException) -> None:
        """Stop an actor, supervised or not, whose handler raised what is no `Exception`."""
        _log.error("actor_failed", actor=repr(mailbox), error=repr(error), exc_info=error)
        if envelope.reply_to is not None:
            dead = _dead(f"{mailbox} stopped while it handled the message", error)
            envelope.reply_to.set_exception(dead)  # type: ignore[arg-type]
        self.stop_now(mailbox, error)

    def stop_now(self, mailbox: Mailbox, cause: BaseException | None = None) -> None:
        """Stop an actor; answer everybody who waits for it; tell who watches it."""
        if mailbox.stopped:
            return
        mailbox.stopped = True
        actor, mailbox.actor = mailbox.actor, None
        if cause is None and actor is not None:
            try:
                actor.on_stop()
            except Exception as error:  # noqa: BLE001 - it stops all the same
                _log.error("on_stop_failed", actor=repr(mailbox), exc_info=error)
        if mailbox.task is not None:
            mailbox.task.cancel()
        self._mailboxes.pop(mailbox.number, None)
        self._decided(mailbox)
        mailbox.answer_owed(_dead(f"{mailbox} stopped", cause))
        for lane in (mailbox.system, mailbox.data):
            while lane:
                envelope = lane.popleft()
                if isinstance(envelope.message, _ActorStop) and envelope.reply_to is not None:
                    envelope.reply_to.set(None)  # it has come true
                else:
                    self._bounce(mailbox, envelope, cause)
        mailbox.system = mailbox.data = None
        for child in list(mailbox.failed or ()):  # nobody is left to decide
            self.stop_now(child, cause)
        self._tell_watchers(mailbox, cause)

    def _decided(self, mailbox: Mailbox) -> None:
        """It waits for its parent no longer."""
        if mailbox.suspended and mailbox.parent is not None and mailbox.parent.failed is not None:
            mailbox.parent.failed.remove(mailbox)
        mailbox.suspended = False

    def _tell_watchers(self, mailbox: Mailbox, cause: BaseException | None) -> None:
        watchers, mailbox.watchers = mailbox.watchers or [], None
        parent, mailbox.parent = mailbox.parent, None
        if parent is not None and parent not in watchers:
            watchers.append(parent)
        for watcher in () if self.closed else watchers:
            if not watcher.stopped and Terminated in watcher.actor_class.handlers:
                self.post(watcher, Envelope(Terminated(LoopRef(mailbox), cause)))

    def _bounce(
        self, mailbox: Mailbox, envelope: Envelope[Any], cause: BaseException | None = None
    ) -> None:
        if envelope.reply_to is None:
            self.dead_letters.add(repr(mailbox), envelope.message)
        else:
            error = _dead(f"{mailbox} stopped before handling the message", cause)
            envelope.reply_to.set_exception(error)  # type: ignore[arg-type]


def _dead(what: str, cause: BaseException | None) -> pykka.ActorDeadError:
    error = pykka.ActorDeadError(what)
    error.__cause__ = cause
    return error
