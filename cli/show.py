"""What the demo prints."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ..domain.supervision import SupervisionTree
from ..domain.views import Frame

_WIDTH = 96
_COLOURS = {"title": "1;36", "good": "32", "bad": "31", "dim": "2", "event": "33"}


def paint(text: str, colour: str) -> str:
    """Colour a text, on a terminal that wants it."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


class Show:
    """Prints scenes, and keeps account of what came out as claimed."""

    def __init__(self) -> None:
        self.checks = 0
        self.failed: list[str] = []

    def scene(self, title: str, look: str) -> None:
        """Begin a scene: what happens, and what to look at."""
        print(f"\n{paint(title, 'title')}\n{paint(look, 'dim')}")

    def check(self, claim: str, *, holds: bool) -> None:
        """Say whether something came out as claimed."""
        self.checks += 1
        if not holds:
            self.failed.append(claim)
        print(f"  {paint('ok', 'good') if holds else paint('NOT SO', 'bad')}  {claim}")

    def frame(self, who: str, frame: Frame) -> None:
        """A frame of a run."""
        print(_cut(f"  {who:<10} #{frame.id or '-':<3} {frame.event:<9} {_shown(frame.data)}"))

    def event(self, what: str, text: str) -> None:
        """Something the supervisor said."""
        print(_cut(f"  {paint('supervisor', 'event')} {what}: {text}"))

    def tree(self, tree: SupervisionTree) -> None:
        """The supervision tree."""
        print("  supervisor")
        for thread in tree.threads:
            print(f"  +- thread {thread.thread_id} ({thread.status})")
            for run in thread.runs:
                print(
                    f"  |  +- run {run.run_id[-6:]} {run.assistant_id}: {run.phase}, "
                    f"attempt {run.attempt}, {run.age:.1f} s old"
                )
        for observer in tree.observers:
            print(f"  +- observer {observer.name} (told up to {observer.cursor})")


def _shown(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
