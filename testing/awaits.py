"""Where a task waits, in the words of whoever wrote its code."""

from __future__ import annotations

import asyncio
import gc
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_OWN = __name__.partition(".")[0]


def place_of(task: asyncio.Task[Any]) -> str:
    """File, line, function and source of the innermost await of a task.

    What awaits inside asyncio, the rest of the standard library or callboard counts as its
    caller's line, unless there is no caller.

    Args:
        task: one that has not ended, and is not the one that executes.

    """
    frames = list(_frames(task.get_coro()))
    own = [frame for frame in frames if not _is_library(frame)]
    if not frames:
        return "its end"
    innermost = (own or frames)[-1]
    return described_line(innermost.f_code, innermost.f_lineno)


def described_line(code: CodeType, line: int) -> str:
    """A line of a function as `file:line in function: source`."""
    source = linecache.getline(code.co_filename, line).strip()
    return f"{_short(code.co_filename)}:{line} in {code.co_name}: {source}"


def _frames(awaited: Any) -> Iterator[FrameType]:
    """Of everything that is awaited from here on, outermost first."""
    while awaited is not None:
        kind = _kind(awaited)
        if kind is None:
            awaited = _behind(awaited)
            continue
        frame = getattr(awaited, f"{kind}_frame")
        if frame is None:  # it has ended
            return
        yield frame
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")


def _kind(awaited: Any) -> str | None:
    """The prefix of the attributes of a coroutine, generator or async generator."""
    return next((kind for kind in ("cr", "ag", "gi") if hasattr(awaited, f"{kind}_frame")), None)


def _behind(awaited: Any) -> Any:
    """What drives the next item of an async generator names it to the collector only."""
    if isinstance(awaited, asyncio.Future):
        return None
    return next((each for each in gc.get_referents(awaited) if _kind(each) is not None), None)


def _is_library(frame: FrameType) -> bool:
    package = str(frame.f_globals.get("__name__")).partition(".")[0]
    return package == _OWN or package in sys.stdlib_module_names


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
