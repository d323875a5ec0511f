"""What one says to the stream actor, and what it answers."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..domain.fence import Fence
from ..domain.payload import JSON
from ..kernel import LoopRef


class OpenStream(NamedTuple):
    """Keep the frames of this run from now on.

    Args:
        run_id: the run.
        thread_id: its thread.
        fence: for the frames that go to the log.
        resumable: they go to the log before anybody sees them.
        first: how many frames it had before this process.
        metadata: the first frame; `None` for none.
        on_leave: gets `ConsumersLeft` when the last consumer detaches; `None` wants not.

    """

    run_id: str
    thread_id: str
    fence: Fence
    resumable: bool = False
    first: int = 0
    metadata: JSON = None
    on_leave: LoopRef[Any] | None = None


class Read(NamedTuple):
    """Ask for a page. Answers `FramePage`, `Evicted`, or `None` for an unknown stream.

    Args:
        run_id: the run.
        after: the last frame seen; 0 is before the first.
        limit: most frames to answer with.
        wait: seconds to wait for the first of them.

    """

    run_id: str
    after: int
    limit: int
    wait: float


class LatestFrame(NamedTuple):
    """Answers the number of a run's last frame; 0 if nothing is kept of it."""

    run_id: str


class Sync(NamedTuple):
    """Answers when the run's frames that were written before it have been taken.

    Those of a resumable run are not taken while too many wait to be stored.
    """

    run_id: str


class Attach(NamedTuple):
    """A consumer has come."""

    run_id: str


class Detach(NamedTuple):
    """A consumer has gone."""

    run_id: str


class ConsumersLeft(NamedTuple):
    """For the run: its last consumer has gone and it has not ended."""


class Seal(NamedTuple):
    """Have every frame so far stored, then send `Sealed` to `origin`."""

    run_id: str
    origin: LoopRef[Any]


class Sealed(NamedTuple):
    """How many frames the run has."""

    latest: int


class EndStream(NamedTuple):
    """Add the last frames and let the readers go.

    Args:
        run_id: the run.
        frames: `end`, or `error` and `end`.

    """

    run_id: str
    frames: tuple[tuple[str, JSON], ...]


class Cleanup(NamedTuple):
    """Forget an ended run's frames in `delay` seconds."""

    run_id: str
    delay: float


class ForgetThread(NamedTuple):
    """Its thread is deleted: forget the frames of all its runs, and let their readers go."""

    thread_id: str


class CountStreams(NamedTuple):
    """Answers how many runs have a buffer."""
