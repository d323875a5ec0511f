"""A mailbox: two lanes of envelopes, and the state of the actor behind it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from pykka._envelope import Envelope

if TYPE_CHECKING:
    import asyncio

    from .actor import LoopActor
    from .future import LoopFuture
    from .kernel import Kernel

__all__ = ["Envelope", "Mailbox"]

Lane = deque[Envelope[Any]]


class Mailbox:
    """Pykka's actor inbox, and the cell that the kernel schedules.

    Touched only on the kernel's OS thread, but for `put`. It outlives the actor object:
    a supervised actor that is restarted keeps its mailbox, so that refs to it stay good.
    Two lanes: system messages overtake data messages, also while the actor is held.
    """

    __slots__ = (
        "__weakref__",
        "actor",
        "actor_class",
        "capacity",
        "data",
        "failed",
        "held",
        "kernel",
        "number",
        "owed",
        "parent",
        "paused",
        "scheduled",
        "stopped",
        "suspended",
        "system",
        "task",
        "watchers",
    )

    def __init__(
        self,
        kernel: Kernel,
        number: int,
        actor_class: type[LoopActor],
        parent: Mailbox | None,
    ) -> None:
        self.kernel = kernel
        self.number = number
        self.actor_class = actor_class
        self.actor: LoopActor | None = None
        self.capacity = actor_class.mailbox_capacity
        # An idle mailbox holds no deque: most are idle most of the time.
        self.data: Lane | None = None
        self.system: Lane | None = None
        self.parent = parent
        self.watchers: list[Mailbox] | None = None
        self.failed: list[Mailbox] | None = None
        """The supervised children that wait for this actor's decision, in the order they failed."""
        self.owed: dict[LoopFuture[Any], None] | None = None
        """Replies that handlers took upon themselves and have not given yet, oldest first."""
        self.task: asyncio.Task[Any] | None = None
        """The async handler that is under way."""
        self.scheduled = False
        """True iff it stands in the kernel's schedule."""
        self.paused = False
        """The actor asked for its data lane to wait, or has crashed."""
        self.held = False
        """Invariant: held == (paused or task is not None)."""
        self.suspended = False
        """The actor has crashed and waits for its supervisor's decision."""
        self.stopped = False

    # Pykka's ActorInbox.

    def put(self, envelope: Envelope[Any], /) -> None:
        """Post an envelope, from any OS thread."""
        self.kernel.post(self, envelope)

    def get(self) -> Envelope[Any]:
        """Take the next envelope, system lane first.

        Raises:
            IndexError: there is none.

        """
        lane = self.system or self.data
        if not lane:
            raise IndexError("the mailbox is empty")
        return lane.popleft()

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self.system and not self.data

    # Pykka's threading.Event for `actor_stopped`.

    def is_set(self) -> bool:
        """Whether the actor has stopped."""
        return self.stopped

    def set(self) -> None:
        """Stop the actor; what waits in the mailbox is answered."""
        self.kernel.stop_now(self)

    # For the kernel.

    @property
    def urn(self) -> str:
        """Pykka's name for the actor, unique in this process."""
        return f"urn:callboard:{id(self.kernel):x}:{self.number}"

    def __repr__(self) -> str:
        return f"{self.actor_class.__name__} ({self.urn})"

    def __len__(self) -> int:
        return len(self.system or ()) + len(self.data or ())

    def messages(self) -> list[Any]:
        """What waits, system lane first."""
        return [envelope.message for envelope in (*(self.system or ()), *(self.data or ()))]

    def ready(self) -> bool:
        """Whether the actor may handle something now."""
        return bool(self.system) or (bool(self.data) and not self.held)

    def owe(self, future: LoopFuture[Any]) -> None:
        """Note that the actor will answer `future` later."""
        future.owner = self
        if self.owed is None:
            self.owed = {}
        self.owed[future] = None

    def forget_reply(self, future: LoopFuture[Any]) -> None:
        """The actor has answered `future`."""
        if self.owed is not None:
            self.owed.pop(future, None)
            if not self.owed:
                self.owed = None

    def answer_owed(self, error: Exception) -> None:
        """Answer every reply that is still owed with an error."""
        owed, self.owed = self.owed or (), None
        for future in owed:
            future.owner = None
            if not future.done():
                future.set_exception(error)
