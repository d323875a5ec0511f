"""The stream actor: keeps the last frames of each run and hands them out in pages.

A stream is read page by page: a reader that vanishes leaves nothing behind but one
pending `Read`, which answers itself when its time is over. Slow readers delay nobody;
they find what they missed in the buffer, in the event log, or told as a gap.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import structlog

from ..domain.enums import EventCategory
from ..domain.payload import JSON, weight
from ..domain.views import FramePage
from ..kernel import LoopActor, LoopFuture, LoopRef, handles
from ..store.entries import Entry, NewEvent, Verdict
from .credit import Credit
from .frames import Evicted, FrameBuffer, FrameWriter, Publish
from .journal_messages import Append, Committed
from .stream_messages import (
    Attach,
    Cleanup,
    ConsumersLeft,
    CountStreams,
    Detach,
    EndStream,
    ForgetThread,
    LatestFrame,
    OpenStream,
    Read,
    Seal,
    Sealed,
    Sync,
)

_log = structlog.get_logger("callboard.stream")


WINDOW_FRAMES = 1000
WINDOW_BYTES = 4 * 1024 * 1024
"""How much of resumable runs may be on its way to the log before their writers wait."""


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
        credit: how much of resumable runs may be on its way to the log.
        keep_ended: ended runs whose frames are kept.
        keep_seconds: how long at most.

    """

    def __init__(
        self,
        journal: LoopRef[Any],
        *,
        buffer_frames: int = 4096,
        credit: Credit | None = None,
        keep_ended: int = 1000,
        keep_seconds: float = 300.0,
    ) -> None:
        self._journal = journal
        self._buffer_frames = buffer_frames
        self._credit = credit or Credit(WINDOW_FRAMES, WINDOW_BYTES)
        self._held: dict[str, FrameWriter] = {}
        """Writers whose frames are not taken until others' are stored; longest first."""
        self._syncs: dict[str, list[LoopFuture[Any]]] = {}
        """Who waits for them to be taken."""
        self._keep_ended = keep_ended
        self._keep_seconds = keep_seconds
        self._streams: dict[str, _Stream] = {}
        self._early: Counter[str] = Counter()
        """Consumers of runs that are not in memory yet, or no longer."""
        self._ended: OrderedDict[str, float] = OrderedDict()
        """Ended runs and when they ended, oldest first."""

    # Writing.

    @handles(OpenStream)
    def _open(self, message: OpenStream) -> None:
        self._drop(message.run_id)  # one that has ended left no record, or there would be no other
        if message.run_id not in self._streams:
            stream = self._streams[message.run_id] = _Stream(message, self._buffer_frames)
            stream.consumers = self._early.pop(message.run_id, 0)
            if message.metadata is not None:
                self._add(stream, [("metadata", message.metadata)])

    def _add(self, stream: _Stream, frames: list[tuple[str, JSON]]) -> None:
        if stream.opened.resumable:
            self._store(stream, frames)
        else:
            self._extend(stream, frames)

    @handles(Publish)
    def _publish(self, message: Publish) -> None:
        writer = message.writer
        if writer.resumable and self._credit.used_up:
            self._held[writer.run_id] = writer
        else:
            self._take(writer)

    def _take(self, writer: FrameWriter) -> None:
        dropped, frames = writer.take()
        stream = self._streams.get(writer.run_id)
        if stream is not None and not stream.buffer.ended:
            stream.buffer.skip(dropped)
            self._add(stream, frames)
        for reply in self._syncs.pop(writer.run_id, ()):
            reply.set(None)

    def _take_held(self, run_id: str) -> None:
        writer = self._held.pop(run_id, None)
        if writer is not None:
            self._take(writer)

    @handles(Sync)
    def _sync(self, message: Sync) -> None:
        """Answering is all, unless frames are held back: earlier messages have been handled."""
        reply = self.defer() if message.run_id in self._held else None
        if reply is not None:
            self._syncs.setdefault(message.run_id, []).append(reply)

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
        size = sum(weight(data) for _, data in frames)
        self._credit.take(len(frames), size)
        tag = (opened.run_id, frames, size)
        self._journal.send(Append(Entry(opened.fence, events=events), self.actor_ref, tag))

    @handles(Committed, system=True)
    def _stored(self, message: Committed) -> None:
        tag: Any = message.tag
        run_id, frames, size = tag
        self._credit.give_back(len(frames), size)
        while self._held and not self._credit.used_up:
            self._take_held(next(iter(self._held)))
        stream = self._streams.get(run_id)
        if stream is None:
            return
        stream.unstored -= len(frames)
        if message.outcome.verdict is Verdict.APPLIED:
            self._extend(stream, frames)
        else:
            stream.buffer.skip(len(frames))  # their numbers are given: readers are told of a gap
        self._answer_seal(stream)

    @handles(Seal)
    def _seal(self, message: Seal) -> None:
        self._take_held(message.run_id)
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
            resumable = stream.opened.resumable
            return Evicted(buffer.earliest, buffer.latest, resumable, buffer.ended)
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

    @handles(LatestFrame)
    def _latest(self, message: LatestFrame) -> int:
        stream = self._streams.get(message.run_id)
        return 0 if stream is None else stream.buffer.latest

    # Consumers.

    @handles(Attach)
    def _attach(self, message: Attach) -> None:
        stream = self._streams.get(message.run_id)
        if stream is not None:
            stream.consumers += 1
        else:
            self._early[message.run_id] += 1

    @handles(Detach)
    def _detach(self, message: Detach) -> None:
        stream = self._streams.get(message.run_id)
        if stream is None:
            self._early[message.run_id] -= 1
            if self._early[message.run_id] <= 0:
                del self._early[message.run_id]
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

    @handles(ForgetThread)
    def _forget_thread(self, message: ForgetThread) -> None:
        of_thread = [
            (run_id, stream)
            for run_id, stream in self._streams.items()
            if stream.opened.thread_id == message.thread_id
        ]
        for run_id, stream in of_thread:
            stream.buffer.ended = True  # its run has; that may be on its way here
            self._drop(run_id)

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
