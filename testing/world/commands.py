"""What callers do to a runtime, as values: what a seed makes and shrinking takes away."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that happens to a runtime.

    Runs are named by the `key` of the command that creates them, so that a command still
    means the same when others are taken away.
    """

    at: float
    """When, in virtual seconds from the beginning."""

    def __str__(self) -> str:
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        said = [f"{key}={value!r}" for key, value in known.items() if value not in (None, False)]
        return f"{type(self).__name__}({', '.join(said)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Command):
    """Create a run."""

    key: int
    thread: str
    agent: str
    strategy: str
    script: dict[str, Any]
    named: str | None = None
    """`run_id` or `key`: what the caller chooses, and asks again with until it is answered."""
    scope: str = "stateful"
    resumable: bool = False
    leaves: bool = False
    """It is aborted when its last consumer goes away."""
    after: float = 0.0
    timeout: float | None = None
    patience: float | None = None
    """Seconds after which the caller goes away."""
    forget: bool = False
    """It leaves no record if it is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Command):
    """Abort a run."""

    of: int
    action: str
    wait: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow(Command):
    """Read a run's stream, and go on reading after a restart."""

    of: int
    leave_after: int | None = None
    """Go away after so many frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Command):
    """Wait for a run's end."""

    of: int
    patience: float | None = None
    """Seconds after which the caller goes away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operate(Command):
    """Have the supervisor `fail` or `restart` a run."""

    of: int
    verb: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Command):
    """Delete a run's record."""

    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopThread(Command):
    """Have the supervisor stop a thread."""

    thread: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteThread(Command):
    """Delete a thread, and see that nothing of it is left."""

    thread: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordThread(Command):
    """`create` a thread by itself, or `update` its metadata."""

    thread: str
    verb: str
    number: int
    """What is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeThread(Command):
    """Do something to a thread while no run is in flight on it."""

    thread: str
    takes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtThread(Command):
    """Read a thread's own record."""

    thread: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Die(Command):
    """The process is killed, so many steps after the moment; and started again."""

    steps: int
    down: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Command):
    """The runtime is closed in an orderly way, and another one started."""

    timeout: float
    hand_over: bool = False
    """What has not ended by then is left to the next one."""
