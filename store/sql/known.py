"""What the writer remembers of threads and runs, so that it need not ask the database.

It is right as long as this store owns their slots: nobody else writes them. After a failed
transaction it is forgotten as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST = 8_192
"""Threads, and runs, that are remembered."""


@dataclass(slots=True)
class KnownThread:
    """A thread: its number, the last `seq` it gave, whether it has an owner, its known runs."""

    number: int
    seq: int
    owned: bool
    runs: set[str] = field(default_factory=set)

    def place_of_next_run(self, sequence: int) -> dict[str, int]:
        """Where a run begins that comes now, by column; with its last lifecycle event."""
        return {
            "thread_no": self.number,
            "first_seq": self.seq + 1,
            "last_seq": self.seq,
            "last_sequence": sequence,
        }


@dataclass(slots=True)
class KnownRun:
    """A run: its number, its thread, and how far its events go.

    `marks` has, for each beginning of its event ids, the highest number after it: an event
    with a higher number is new for certain. Of a run that was loaded, only that of its
    lifecycle events is known until another is asked for.
    """

    number: int
    thread_id: str
    thread: KnownThread
    first_seq: int
    last_sequence: int
    live: bool
    marks: dict[str, int] = field(default_factory=dict)
    all_marks: bool = True

    def place(self) -> dict[str, int]:
        """Where its events are, by parameter."""
        return {"thread": self.thread.number, "first": self.first_seq, "run": self.number}

    def knows(self, event_id: str) -> bool:
        """Whether `is_new` can be asked about an event."""
        return self.all_marks or split(event_id)[0] in self.marks

    def is_new(self, event_id: str) -> bool:
        """Note an event's id. Returns whether it is certainly not stored yet."""
        beginning, number = split(event_id)
        if number <= self.marks.get(beginning, 0):
            return False
        self.marks[beginning] = number
        return True


def split(event_id: str) -> tuple[str, int]:
    """An event's id as its beginning and the number it ends with, 0 for none."""
    beginning = event_id.rstrip("0123456789")
    digits = event_id[len(beginning) :]
    return beginning, int(digits) if digits and len(digits) <= 18 else 0


class Known:
    """Threads and runs by id."""

    def __init__(self) -> None:
        self.threads: dict[str, KnownThread] = {}
        self.runs: dict[str, KnownRun] = {}

    def note_thread(self, thread_id: str, thread: KnownThread) -> KnownThread:
        """Remember a thread."""
        self.threads[thread_id] = thread
        return thread

    def note_run(self, run_id: str, run: KnownRun) -> KnownRun:
        """Remember a run."""
        self.runs[run_id] = run
        run.thread.runs.add(run_id)
        return run

    def make_room(self) -> None:
        """Forget everything once it is too much.

        Everything, because a thread and its runs share one count of events; and only between
        two transactions, because within one they are at work.
        """
        if max(len(self.threads), len(self.runs)) > _MOST:
            self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self.threads.clear()
        self.runs.clear()

    def forget_thread(self, thread_id: str) -> None:
        """Know nothing of a thread and its runs any more."""
        thread = self.threads.pop(thread_id, None)
        for run_id in () if thread is None else thread.runs:
            self.runs.pop(run_id, None)
