"""The stream actor: keeps the last frames of each run and hands them out in pages.

A stream is read page by page: a reader that vanishes leaves nothing behind but one
pending `Read`, which answers itself when its time is over. Slow readers delay nobody;
they find what they missed in the buffer, in the event log, or told as a gap.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import structlog

from ..domain.enums import EventCategory
from ..domain.fence import Fence
from ..domain.payload import JSON
from ..domain.views import FramePage
from ..kernel import LoopActor, LoopFuture, LoopRef, handles
from ..store.entries import Entry, NewEvent, Verdict
from .frames import Evicted, FrameBuffer, Publish
from .journal import Append, Committed

_log = structlog.get_logger("callboard.stream")


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


class Sync(NamedTuple):
    """Answers when the frames written before it have been taken."""


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


class CountStreams(NamedTuple):
    """Answers how many runs have a buffer."""


class _Expired(NamedTuple):
    run_id: str
    reply: LoopFuture[Any]


class _Forget(NamedTuple):
    run_id: str


class _Stream:
    """What is kept of one run."""

    __slots__ = ("buffer", "consumers", "opened", "readers", "sealing", "unstored")

    def __init__(self, opened: OpenStream, limit: int) -> None:
        self.opened = opened
        self.buffer = FrameBuffer(limit)
        self.buffer.skip(opened.first)
        self.consumers = 0
        self.readers: list[tuple[Read, LoopFuture[Any], asyncio.TimerHandle]] = []
        self.unstored = 0
        """Frames of a resumable run that the journal has not confirmed."""
        self.sealing: LoopRef[Any] | None = None


class StreamActor(LoopActor):
    """Keeps and hands out frames.

    Args:
        journal: where frames of resumable runs go first.
        buffer_frames: frames kept for each run.
        keep_ended: ended runs whose frames are kept.
        keep_seconds: how long at most.

    """

    def __init__(
        self,
        journal: LoopRef[Any],
        *,
        buffer_frames: int = 4096,
        keep_ended: int = 1000,
        keep_seconds: float = 300.0,
    ) -> None:
        self._journal = journal
        self._buffer_frames = buffer_frames
        self._keep_ended = keep_ended
        self._keep_seconds = keep_seconds
        self._streams: dict[str, _Stream] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()
        """Ended runs and when they ended, oldest first."""

    # Writing.

    @handles(OpenStream)
    def _open(self, message: OpenStream) -> None:
        if message.run_id not in self._streams:
            stream = self._streams[message.run_id] = _Stream(message, self._buffer_frames)
            if message.metadata is not None:
                self._add(stream, [("metadata", message.metadata)])

    def _add(self, stream: _Stream, frames: list[tuple[str, JSON]]) -> None:
        if stream.opened.resumable:
            self._store(stream, frames)
        else:
            self._extend(stream, frames)

    @handles(Publish)
    def _publish(self, message: Publish) -> None:
        dropped, frames = message.writer.take()
        stream = self._streams.get(message.writer.run_id)
        if stream is None or stream.buffer.ended:
            return
        stream.buffer.skip(dropped)
        self._add(stream, frames)

    @handles(Sync)
    def _sync(self, _: Sync) -> None:
        """Answering is all: earlier messages have been handled."""

    def _extend(self, stream: _Stream, frames: Iterable[tuple[str, JSON]]) -> None:
        stream.buffer.extend(frames)
        if stream.readers:
            self._serve(stream)

    def _serve(self, stream: _Stream) -> None:
        readers, stream.readers = stream.readers, []
        for read, reply, timer in readers:
            timer.cancel()
            if not reply.cancelled():
                reply.set(self._page(stream, read))

    def _store(self, stream: _Stream, frames: list[tuple[str, JSON]]) -> None:
        first = stream.buffer.latest + stream.unstored + 1
        opened, at = stream.opened, self.kernel.clock.now()
        events = tuple(
            NewEvent(
                event_id=f"{opened.run_id}#{seq}",
                thread_id=opened.thread_id,
                run_id=opened.run_id,
                category=EventCategory.FRAME,
                event_type=event,
                content=data,
                created_at=at,
                sequence=seq,
            )
            for seq, (event, data) in enumerate(frames, first)
        )
        stream.unstored += len(frames)
        tag = (opened.run_id, frames)
        self._journal.send(Append(Entry(opened.fence, events=events), self.actor_ref, tag))

    @handles(Committed, system=True)
    def _stored(self, message: Committed) -> None:
        tag: Any = message.tag
        run_id, frames = tag
        stream = self._streams.get(run_id)
        if stream is None:
            return
        stream.unstored -= len(frames)
        if message.outcome.verdict is Verdict.APPLIED:
            self._extend(stream, frames)
        self._answer_seal(stream)

    @handles(Seal)
    def _seal(self, message: Seal) -> None:
        stream = self._streams.get(message.run_id)
        if stream is None:
            message.origin.send(Sealed(0))
            return
        stream.sealing = message.origin
        self._answer_seal(stream)

    @staticmethod
    def _answer_seal(stream: _Stream) -> None:
        if stream.sealing is not None and not stream.unstored:
            stream.sealing.send(Sealed(stream.buffer.latest))
            stream.sealing = None

    @handles(EndStream)
    def _end(self, message: EndStream) -> None:
        stream = self._streams.get(message.run_id)
        if stream is None or stream.buffer.ended:
            return
        stream.buffer.extend(message.frames)
        stream.buffer.ended = True
        self._serve(stream)
        self._ended[message.run_id] = self.kernel.now()
        self._forget_old()

    # Reading.

    @handles(Read)
    def _read(self, message: Read) -> FramePage | Evicted | None:
        stream = self._streams.get(message.run_id)
        if stream is None:
            return None
        page = self._page(stream, message)
        if isinstance(page, Evicted) or page.frames or page.end or message.wait <= 0:
            return page
        reply = self.defer()
        if reply is not None:
            expired = _Expired(message.run_id, reply)
            timer = self.kernel.after(message.wait, self.actor_ref, expired)
            stream.readers.append((message, reply, timer))
        return None

    @staticmethod
    def _page(stream: _Stream, read: Read) -> FramePage | Evicted:
        buffer = stream.buffer
        page = buffer.page(min(read.after, buffer.latest), read.limit)
        if page is None:
            return Evicted(buffer.earliest, buffer.latest, stream.opened.resumable)
        return page

    @handles(_Expired, system=True)
    def _expire(self, message: _Expired) -> None:
        stream = self._streams.get(message.run_id)
        for reader in stream.readers if stream else ():
            if reader[1] is message.reply:
                stream.readers.remove(reader)  # type: ignore[union-attr]
                if not message.reply.cancelled():
                    message.reply.set(FramePage((), reader[0].after, end=False))
                return

    # Consumers.

    @handles(Attach)
    def _attach(self, message: Attach) -> None:
        stream = self._streams.get(message.run_id)
        if stream is not None:
            stream.consumers += 1

    @handles(Detach)
    def _detach(self, message: Detach) -> None:
        stream = self._streams.get(message.run_id)
        if stream is None:
            return
        stream.consumers -= 1
        on_leave = stream.opened.on_leave
        if stream.consumers == 0 and on_leave is not None and not stream.buffer.ended:
            on_leave.send(ConsumersLeft())

    # Forgetting.

    @handles(Cleanup)
    def _cleanup(self, message: Cleanup) -> None:
        if message.delay > 0:
            self.kernel.after(message.delay, self.actor_ref, _Forget(message.run_id))
        else:
            self._drop(message.run_id)

    @handles(_Forget)
    def _forget(self, message: _Forget) -> None:
        self._drop(message.run_id)

    @handles(CountStreams)
    def _count(self, _: CountStreams) -> int:
        return len(self._streams)

    def _forget_old(self) -> None:
        horizon = self.kernel.now() - self._keep_seconds
        while self._ended:
            run_id, ended_at = next(iter(self._ended.items()))
            if len(self._ended) <= self._keep_ended and ended_at > horizon:
                return
            self._drop(run_id)

    def _drop(self, run_id: str) -> None:
        stream = self._streams.get(run_id)
        if stream is not None and stream.buffer.ended:
            del self._streams[run_id]
            self._ended.pop(run_id, None)
            self._serve(stream)

    def on_stop(self) -> None:
        """Let every reader go."""
        for stream in self._streams.values():
            stream.buffer.ended = True
            self._serve(stream)
