"""Frames on their way from a run to the stream actor, and the buffer that keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Condition
from typing import TYPE_CHECKING, Any, NamedTuple

from ..domain.payload import JSON
from ..domain.views import Frame, FramePage

if TYPE_CHECKING:
    from ..kernel import LoopRef


ACROSS = 256
"""Frames from another OS thread that may wait for the loop before that thread waits."""


class Publish(NamedTuple):
    """For the stream actor: this writer has frames."""

    writer: FrameWriter


class FrameWriter:
    """The run's one writer of frames, from the loop and from any other OS thread.

    Writing costs one message to the stream actor for all frames until it takes them. On
    the loop the writer never waits: what the stream's buffer could not hold anyway is
    dropped and shows as a gap; `backlog` tells when to pause. Another OS thread waits
    until there is room. A resumable run drops nothing.

    Args:
        run_id: its run.
        stream: the stream actor.
        limit: frames that may wait to be taken, at least `ACROSS`.
        resumable: the frames go to the event log first.

    """

    __slots__ = (
        "_dropped",
        "_limit",
        "_pending",
        "_room",
        "_signalled",
        "resumable",
        "run_id",
        "stream",
    )

    def __init__(self, run_id: str, stream: LoopRef[Any], limit: int, *, resumable: bool) -> None:
        self.run_id = run_id
        self.resumable = resumable
        self.stream = stream
        self._limit = limit
        self._pending: deque[tuple[str, JSON]] = deque()
        self._dropped = 0
        self._signalled = False
        self._room: Condition | None = None

    @property
    def backlog(self) -> int:
        """How many frames wait to be taken."""
        return len(self._pending)

    def write(self, event: str, data: JSON) -> None:
        """Publish one frame; `data` is plain JSON that nobody changes any more."""
        pending = self._pending
        if len(pending) >= ACROSS:
            self._make_room()
        pending.append((event, data))
        if not self._signalled:
            self._signalled = True
            self.stream.send(Publish(self))

    def _make_room(self) -> None:
        if not self.stream.actor_inbox.kernel.is_current_thread():
            self._wait_for_room()
        elif not self.resumable and len(self._pending) >= self._limit:
            self._pending.popleft()
            self._dropped += 1

    def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = Condition()
        with self._room:
            self._room.wait_for(
                lambda: len(self._pending) < ACROSS or not self.stream.is_alive(),
                timeout=60.0,
            )

    def take(self) -> tuple[int, list[tuple[str, JSON]]]:
        """How many frames were dropped, and those that came after them; on the loop."""
        self._signalled = False
        pending = self._pending
        dropped, self._dropped = self._dropped, 0
        taken = [pending.popleft() for _ in range(len(pending))]
        if self._room is not None:
            with self._room:
                self._room.notify_all()
        return dropped, taken


class Evicted(NamedTuple):
    """What was asked for is no longer in the buffer.

    Args:
        earliest: the first frame still held.
        latest: the last one.
        resumable: the event log has what is missing.
        ended: nothing will follow the last one.

    """

    earliest: int
    latest: int
    resumable: bool
    ended: bool


class FrameBuffer:
    """The last frames of one run.

    Invariant: it holds the frames `earliest` to `latest`, all of them, in order.

    Args:
        limit: how many it keeps at least, once there are so many.

    """

    __slots__ = ("_frames", "_limit", "earliest", "ended", "latest")

    def __init__(self, limit: int) -> None:
        self._frames: list[Frame] = []
        self._limit = limit
        self.earliest = 1
        self.latest = 0
        self.ended = False

    def skip(self, count: int) -> None:
        """Leave a hole of `count` frames that nobody will see."""
        if count:
            self._frames.clear()
            self.latest += count
            self.earliest = self.latest + 1

    def extend(self, frames: Iterable[tuple[str, JSON]]) -> None:
        """Number frames and keep them."""
        following = self.latest + 1
        self._frames += [
            Frame(str(number), event, data)
            for number, (event, data) in enumerate(frames, following)
        ]
        self.latest = self.earliest + len(self._frames) - 1
        if len(self._frames) >= 2 * self._limit:
            # Not at each frame, so that trimming costs nothing per frame.
            del self._frames[: -self._limit]
            self.earliest = self.latest - self._limit + 1

    def page(self, after: int, limit: int) -> FramePage | None:
        """Up to `limit` frames that follow `after`; `None` if the first of them is gone."""
        if after + 1 < self.earliest:
            return None
        start = after + 1 - self.earliest
        frames = tuple(self._frames[start : start + limit])
        following = after + len(frames)
        return FramePage(frames, following, self.ended and following >= self.latest)
