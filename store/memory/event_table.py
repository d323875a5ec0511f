"""The events in memory, with their indexes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from heapq import merge
from operator import itemgetter

from ...domain.enums import EventCategory
from ..entries import NewEvent
from ..kept import Kept
from .shelf import Shelf

_by_position = itemgetter(0)


class RunEvents:
    """The events of one run, ascending by `seq`; its frames by their own number."""

    __slots__ = ("all", "frames", "messages", "thread")

    def __init__(self, thread: ThreadEvents) -> None:
        self.thread = thread
        self.all: list[Kept] = []
        self.messages: list[Kept] = []
        self.frames: list[Kept] = []

    def add_frame(self, kept: Kept) -> None:
        """Put a frame where its number belongs: at the end, but for a stray one."""
        if self.frames and frame_number(kept) < frame_number(self.frames[-1]):
            insort(self.frames, kept, key=frame_number)
        else:
            self.frames.append(kept)


class ThreadEvents:
    """What is known of a thread while it has an event."""

    __slots__ = ("messages", "runs", "seq", "thread_id")

    def __init__(self, thread_id: str, seq: int) -> None:
        self.thread_id = thread_id
        self.seq = seq
        """The last one given."""
        self.messages = Shelf()
        self.runs: dict[str, RunEvents] = {}


class EventTable:
    """Events by id, position, thread and run.

    A thread whose last event is deleted is forgotten, and the highest `seq` any such
    thread had becomes the floor that new threads count from: one number for all of them.
    So a thread that comes back goes on above what its readers have seen; in exchange, a
    new thread may not begin at 1.
    """

    def __init__(self) -> None:
        self._ids: dict[str, Kept] = {}
        self._log = {category: Shelf() for category in EventCategory}
        self._threads: dict[str, ThreadEvents] = {}
        self._runs: dict[str, RunEvents] = {}
        self._floor = 0
        self.position = 0
        """The last one given."""

    def append(self, events: Sequence[NewEvent]) -> list[Kept]:
        """Append. An event id that is there already changes nothing."""
        ids = self._ids
        return [ids.get(event.event_id) or self._append(event) for event in events]

    def _append(self, event: NewEvent) -> Kept:
        run = self._runs.get(event.run_id) or self._new_run(event.thread_id, event.run_id)
        thread, category = run.thread, event.category
        thread.seq = seq = thread.seq + 1
        self.position = position = self.position + 1
        kept = self._ids[event.event_id] = (position, seq, event)
        self._log[category].add(position, kept)
        run.all.append(kept)
        if category is EventCategory.MESSAGE:
            run.messages.append(kept)
            thread.messages.add(seq, kept)
        elif category is EventCategory.FRAME:
            run.add_frame(kept)
        return kept

    def _new_run(self, thread_id: str, run_id: str) -> RunEvents:
        thread = self._threads.get(thread_id)
        if thread is None:
            thread = self._threads[thread_id] = ThreadEvents(thread_id, self._floor)
        run = self._runs[run_id] = thread.runs[run_id] = RunEvents(thread)
        return run

    def fault(self, events: Sequence[NewEvent]) -> str | None:
        """Why these events cannot be stored together, or `None`."""
        first = events[0].thread_id
        for event in events:
            if event.thread_id != first:
                return f"events of threads '{first}' and '{event.thread_id}'"
            run = self._runs.get(event.run_id)
            if run is not None and run.thread.thread_id != first:
                return f"run '{event.run_id}' is on thread '{run.thread.thread_id}'"
        return None

    def find(self, events: Sequence[NewEvent]) -> list[Kept]:
        """These very events as stored before; none if one is not, or reads otherwise."""
        found = [kept for event in events if (kept := self._ids.get(event.event_id))]
        return found if [kept[2] for kept in found] == list(events) else []

    # Reading.

    def reach(self, run_id: str) -> tuple[int, int]:
        """How far a run's lifecycle events and frames go."""
        run = self._runs.get(run_id)
        if run is None:
            return 0, 0
        lifecycle = (kept[2] for kept in reversed(run.all))
        last = next((e for e in lifecycle if e.category is EventCategory.LIFECYCLE), None)
        sequence = 0 if last is None else last.sequence or 0
        return sequence, frame_number(run.frames[-1]) if run.frames else 0

    def run(self, run_id: str) -> RunEvents | None:
        """The events of a run."""
        return self._runs.get(run_id)

    def thread(self, thread_id: str) -> ThreadEvents | None:
        """The events of a thread."""
        return self._threads.get(thread_id)

    def log(self, after: int, category: EventCategory | None) -> Iterator[Kept]:
        """Everything, or one category, in the order of `position`."""
        if category is not None:
            return self._log[category].after(after)
        return merge(*(shelf.after(after) for shelf in self._log.values()), key=_by_position)

    # Deleting.

    def delete_run(self, run_id: str) -> int:
        """Delete a run's events. Returns how many there were."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return 0
        thread = run.thread
        for position, _, event in run.all:
            del self._ids[event.event_id]
            self._log[event.category].remove(position)
        for _, seq, _ in run.messages:
            thread.messages.remove(seq)
        del thread.runs[run_id]
        if not thread.runs:
            del self._threads[thread.thread_id]
            self._floor = max(self._floor, thread.seq)
        return len(run.all)

    def delete_thread(self, thread_id: str) -> int:
        """Delete a thread's events. Returns how many there were."""
        thread = self._threads.get(thread_id)
        return sum(self.delete_run(run_id) for run_id in tuple(thread.runs)) if thread else 0


def frame_number(kept: Kept) -> int:
    """A frame's place among its run's frames."""
    return kept[2].sequence or 0
