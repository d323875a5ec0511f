"""References to actors on an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pykka
from pykka.messages import _ActorStop

from ..domain.errors import RuntimeBusy, WouldDeadlock
from .mailbox import Envelope, Mailbox

if TYPE_CHECKING:
    from .actor import LoopActor
    from .future import LoopFuture

A = TypeVar("A", bound="LoopActor")


class LoopRef(pykka.ActorRef[A]):
    """A Pykka reference with nothing in it but the mailbox.

    It can be passed around freely, also between OS threads. `tell`, `ask`, `stop` and
    `proxy` keep their documented meaning; `send` is `tell` for when nobody needs to know
    whether the actor still lives.
    """

    __slots__ = ("actor_inbox",)
    actor_inbox: Mailbox

    def __init__(self, mailbox: Mailbox) -> None:
        self.actor_inbox = mailbox

    @property
    def actor_class(self) -> type[A]:  # type: ignore[override]
        """The class of the actor."""
        return cast("type[A]", self.actor_inbox.actor_class)

    @property
    def actor_urn(self) -> str:  # type: ignore[override]
        """The actor's name, unique in this process."""
        return self.actor_inbox.urn

    @property
    def actor_stopped(self) -> Mailbox:  # type: ignore[override]
        """Has `is_set()`, as Pykka's event has."""
        return self.actor_inbox

    @property
    def _actor_weakref(self) -> Callable[[], A | None]:  # type: ignore[override]
        return lambda: cast("A | None", self.actor_inbox.actor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoopRef) and other.actor_inbox is self.actor_inbox

    def __hash__(self) -> int:
        return id(self.actor_inbox)

    def is_alive(self) -> bool:
        """Whether the actor has not stopped."""
        return not self.actor_inbox.stopped

    def tell(self, message: Any) -> None:
        """Send a message and expect no reply.

        Raises:
            pykka.ActorDeadError: the actor has stopped.
            RuntimeBusy: its mailbox is full.

        """
        if self.actor_inbox.stopped:
            raise pykka.ActorDeadError(f"{self} not found")
        self.actor_inbox.kernel.post(self.actor_inbox, Envelope(message))

    def send(self, message: Any) -> None:
        """Send a message; what a stopped actor or a full mailbox does not take is a dead letter."""
        try:
            self.actor_inbox.kernel.post(self.actor_inbox, Envelope(message))
        except RuntimeBusy:
            self.actor_inbox.kernel.dead_letters.add(repr(self.actor_inbox), message)

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send a message and get the reply, or with `block=False` a future of it.

        Args:
            message: the message.
            block: wait for the reply; not possible on the actor's own OS thread.
            timeout: seconds to wait.

        Raises:
            WouldDeadlock: `block` on the OS thread that must answer; nothing was sent.
            pykka.Timeout: no reply in time.
            Exception: what the actor answered with; `pykka.ActorDeadError` if it stopped.

        """
        kernel = self.actor_inbox.kernel
        if block and kernel.is_current_thread():
            raise WouldDeadlock
        future: LoopFuture[Any] = kernel.future()
        kernel.post(self.actor_inbox, Envelope(message, future))
        return future.get(timeout=timeout) if block else future

    def request(self, message: Any) -> LoopFuture[Any]:
        """Send a message and return the awaitable future of the reply."""
        kernel = self.actor_inbox.kernel
        future: LoopFuture[Any] = kernel.future()
        kernel.post(self.actor_inbox, Envelope(message, future))
        return future

    def stop(self, *, block: bool = True, timeout: float | None = None) -> Any:
        """Ask the actor to stop, after what is already in its mailbox.

        Returns:
            whether it was still alive; with `block=False` a future of that.

        """
        if block and self.actor_inbox.kernel.is_current_thread():
            raise WouldDeadlock
        stopping: LoopFuture[Any] = self.ask(_ActorStop(), block=False)
        answer = stopping.settled(lambda error: not isinstance(error, pykka.ActorDeadError))
        return answer.get(timeout=timeout) if block else answer
