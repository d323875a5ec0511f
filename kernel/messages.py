"""What the kernel itself tells actors. All of it travels in the system lane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .ref import LoopRef


class Begin(NamedTuple):
    """The first message of an actor that has an `on_start`."""


class Terminated(NamedTuple):
    """A watched actor has stopped.

    Args:
        ref: the actor.
        cause: why, if it failed; `None` when it was stopped.

    """

    ref: LoopRef[Any]
    cause: BaseException | None


class Crashed(NamedTuple):
    """A supervised child has failed and is suspended; its mailbox waits.

    The parent answers with `Kernel.revive` or `Kernel.kill`.
    """

    ref: LoopRef[Any]
    cause: BaseException
