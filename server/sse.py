"""Server-sent events, as the clients of the platform read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing

from ..actors.runtime import Runtime
from ..domain.views import Frame
from .encoding import to_bytes
from .live import KEEP_ALIVE

MEDIA_TYPE = "text/event-stream; charset=utf-8"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT = b": heartbeat\r\n\r\n"

_ALWAYS = frozenset({"metadata", "error", "end", "gap"})
"""Events that no choice of modes leaves out."""


def event_of(frame: Frame, *, numbered: bool) -> bytes:
    """A frame as an event.

    Args:
        frame: the frame.
        numbered: give its id: the run is resumable.

    """
    name = frame.event.replace("\r", " ").replace("\n", " ").encode()
    tail = b"\r\nid: %s\r\n\r\n" % frame.id.encode() if numbered and frame.id else b"\r\n\r\n"
    return b"event: %s\r\ndata: %s%s" % (name, to_bytes(frame.data), tail)


def is_wanted(event: str, modes: Collection[str]) -> bool:
    """Whether an event belongs to one of these stream modes; without any, all do.

    The events of subgraphs have their namespaces behind the mode: `updates|search:4f…`.
    """
    if not modes or event in _ALWAYS:
        return True
    mode = event.partition("|")[0]
    if mode == "messages":
        return "messages-tuple" in modes or "messages" in modes
    return mode.partition("/")[0] in modes


async def events(
    runtime: Runtime,
    run_id: str,
    last_event_id: str | None,
    modes: Collection[str] = (),
    *,
    numbered: bool,
) -> AsyncGenerator[bytes, None]:
    """A run's frames as events, as many at a time as there are, and heartbeats between them.

    Args:
        runtime: has the run.
        run_id: the run.
        last_event_id: the last event seen; see `Runtime.stream_pages`.
        modes: the stream modes wanted; empty for all there are.
        numbered: give events their ids.

    """
    clock = asyncio.get_running_loop().time
    said = clock()
    async with aclosing(runtime.stream_pages(run_id, last_event_id, KEEP_ALIVE)) as pages:
        async for page in pages:
            text = b"".join(
                event_of(frame, numbered=numbered)
                for frame in page
                if is_wanted(frame.event, modes)
            )
            if not text and clock() - said >= KEEP_ALIVE * 0.9:
                text = HEARTBEAT  # also when all that came was not wanted
            if text:
                said = clock()
                yield text
