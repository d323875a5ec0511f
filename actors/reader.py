"""Reading a run's frames: from the stream, from the event log, or from its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..domain.enums import RunStatus
from ..domain.errors import RunNotFound, Unavailable
from ..domain.payload import JSON
from ..domain.views import Frame, FramePage, RunSnapshot, StoredRunEvent
from ..observers import Evicted, Read
from .messages import Activate, Describe
from .settlement import error_data

if TYPE_CHECKING:
    from .wiring import Wiring

PAGE = 256
"""Frames read at once."""

_FAILED = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})


class FrameReader:
    """Answers pages of frames, wherever they are kept.

    Args:
        wiring: whom to ask.

    """

    __slots__ = ("_wiring",)

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def read(self, run_id: str, after: int, limit: int, wait: float) -> FramePage:
        """A page of the frames that follow `after`.

        Replay and following live are the same call, made again with `page.next`.

        Args:
            run_id: the run.
            after: the last frame seen; 0 is before the first.
            limit: most frames to answer with.
            wait: seconds to wait for the first of them; then the page is empty.

        Raises:
            RunNotFound: there is no such run.
            SlotNotOwned: its thread belongs to another process.

        """
        answer: Any = await self._wiring.stream.request(Read(run_id, after, limit, wait))
        if isinstance(answer, FramePage):
            return answer
        if isinstance(answer, Evicted):
            return await self._evicted(run_id, after, limit, answer)
        page = await self._forgotten(run_id, after, limit)
        return page or await self.read(run_id, after, limit, wait)

    async def _evicted(self, run_id: str, after: int, limit: int, held: Evicted) -> FramePage:
        if held.resumable:
            # No further than the stream is: a run's end is stored before it may be told.
            frames = await self._stored(run_id, after, min(limit, held.latest - after))
            if frames:
                following = after + len(frames)
                return FramePage(frames, following, held.ended and following >= held.latest)
        return FramePage((_gap(after, held.earliest, held.latest),), held.earliest - 1, end=False)

    async def _forgotten(self, run_id: str, after: int, limit: int) -> FramePage | None:
        """The stream knows nothing of the run: its record and the log are all there is.

        One in flight is on a thread that is not in memory, or has just ended: `None` when
        its thread has been asked for.
        """
        run = await self._wiring.store.runs.get(run_id)
        if run is None:
            raise RunNotFound(run_id)
        if run_id in self._wiring.registry.runs:
            return None  # it is brought back just now, or its end is told to observers first
        if not run.status.is_terminal:
            self._wiring.fence(run.thread_id)  # is it ours?
            _, runs = await self._wiring.supervisor.request(Activate(run.thread_id, Describe()))
            if run_id in runs:
                return None
            run = await self._wiring.store.runs.get(run_id)
            if run is None or not run.status.is_terminal:
                raise Unavailable(f"Run '{run_id}' has no actor: call supervisor.recover().")
        if run.request.resumable:
            frames = await self._stored(run_id, after, limit)
            return FramePage(frames, after + len(frames), end=len(frames) < limit)
        return FramePage(_from_record(run, after), after, end=True)

    async def _stored(self, run_id: str, after: int, limit: int) -> tuple[Frame, ...]:
        events = await self._wiring.store.events.list_frames(run_id, after=after, limit=limit)
        return tuple(_frame(event) for event in events)


def _frame(event: StoredRunEvent) -> Frame:
    return Frame(str(event.sequence), event.event_type, event.content)


def _gap(requested: int, earliest: int | None, latest: int | None) -> Frame:
    return Frame(None, "gap", {"requested": requested, "earliest": earliest, "latest": latest})


def _from_record(run: RunSnapshot, after: int) -> tuple[Frame, ...]:
    """What can still be told of a stream whose frames are gone."""
    frames: list[Frame] = []
    if not after:
        metadata: JSON = {
            "run_id": str(run.run_id),
            "thread_id": str(run.thread_id),
            "attempt": max(1, run.attempt),
        }
        frames.append(Frame(None, "metadata", metadata))
    frames.append(_gap(after, None, None))
    if run.status in _FAILED:
        frames.append(Frame(None, "error", error_data(run.status, run.error)))
    frames.append(Frame(None, "end", {"status": str(run.status)}))
    return tuple(frames)
