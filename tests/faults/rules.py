"""What must hold of a store, whatever happened to the processes that wrote it.

Each rule is a function of what was found (and what was acknowledged), and yields a
sentence for each violation.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

from callboard import RunSnapshot, StoredRunEvent
from callboard.domain import EventCategory

ENDS = {
    "success": "run_completed",
    "error": "run_failed",
    "timeout": "run_failed",
    "interrupted": "run_cancelled",
}
"""The lifecycle event that tells a terminal status."""


@dataclass(frozen=True)
class Found:
    """What is in the store when nothing is in flight any more."""

    runs: dict[str, RunSnapshot]
    events: list[StoredRunEvent]
    """In the order of the log."""
    frames: dict[str, list[tuple[int, str, object]]]
    """Of resumable runs, as a reader of their streams gets them: number, event, data."""

    def of_runs(self, category):
        """The events of one category by run, and those of runs that have none."""
        by_run = {run_id: [] for run_id in self.runs}
        for event in self.events:
            if event.category is category:
                by_run.setdefault(event.run_id, []).append(event)
        return by_run


def violations(found, acknowledged, floor=None):
    """All that is wrong, as sentences.

    Args:
        found: what is in the store.
        acknowledged: the lines of `child.py`.
        floor: the last `seq` of each thread before the first of the events.

    """
    return [
        *nothing_acknowledged_is_lost(found, acknowledged),
        *every_run_ends_once(found),
        *the_log_is_in_order(found, floor or {}),
        *messages_are_whole(found),
        *frames_are_dense(found),
        *queues_keep_their_order(found),
    ]


def nothing_acknowledged_is_lost(found, acknowledged):
    known = {
        "run": {(run.thread_id, run.run_id) for run in found.runs.values()},
        "end": {(run.run_id, run.status.value) for run in found.runs.values()},
        "event": {(e.run_id, e.sequence, e.event_type, e.event_id) for e in found.events},
        "message": {
            (event.thread_id, event.run_id, event.seq, repr(event.content))
            for event in found.events
            if event.category is EventCategory.MESSAGE
        },
        "frame": {
            (run_id, str(number), event, repr(data))
            for run_id, frames in found.frames.items()
            for number, event, data in frames
        },
    }
    for kind, *data in acknowledged:
        if kind in ("message", "frame"):
            data[-1] = repr(data[-1])
        if kind in known and tuple(data) not in known[kind]:
            yield f"acknowledged, but not stored: {kind} {data}"


def every_run_ends_once(found):
    for run_id, events in found.of_runs(EventCategory.LIFECYCLE).items():
        run = found.runs.get(run_id)
        if run is None:
            yield f"run {run_id} has events, but no record"
            continue
        kinds = [event.event_type for event in events]
        if not run.status.is_terminal:
            yield f"run {run_id} is left {run.status}"
        elif [kind for kind in kinds if kind in ENDS.values()] != [ENDS[run.status]]:
            yield f"run {run_id} is {run.status}, and its events say {kinds}"
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            yield f"run {run_id} has the sequences {[event.sequence for event in events]}"
        if kinds[:1] != ["run_created"]:
            yield f"run {run_id} begins with {kinds[:1]}"


def the_log_is_in_order(found, floor):
    for event_id, count in Counter(event.event_id for event in found.events).items():
        if count > 1:
            yield f"event {event_id} is stored {count} times"
    last, position = dict(floor), 0
    for event in found.events:
        if event.position <= position:
            yield f"position {event.position} follows {position}"
        if event.seq <= last.get(event.thread_id, 0):
            yield f"{event.thread_id}: seq {event.seq} follows {last[event.thread_id]}"
        position, last[event.thread_id] = event.position, event.seq


def messages_are_whole(found):
    for run_id, events in found.of_runs(EventCategory.MESSAGE).items():
        told = [event.content for event in events]
        yield from _counts_up(run_id, told)
        run = found.runs.get(run_id)
        if run is None or run.status != "success" or "messages" not in (run.output or {}):
            continue
        if sum(content["attempt"] == run.attempt for content in told) != run.output["messages"]:
            yield f"run {run_id} is success without all its messages: {told}"


def frames_are_dense(found):
    stored = found.of_runs(EventCategory.FRAME)
    for run_id, frames in found.frames.items():
        if [number for number, _, _ in frames] != list(range(1, len(frames) + 1)):
            yield f"run {run_id} has the frames {[number for number, _, _ in frames]}"
        if [(e.sequence, e.event_type, e.content) for e in stored[run_id]] != frames:
            yield f"run {run_id}: the stream does not tell what is in the log"
        if not frames or frames[-1][1] != "end":
            yield f"run {run_id} has no last frame: {frames[-1:]}"
        opened = [data["attempt"] for _, event, data in frames if event == "metadata"]
        if opened != sorted(set(opened)):
            yield f"run {run_id} announces its attempts as {opened}"
        yield from _counts_up(run_id, [data for _, event, data in frames if event == "values"])


def queues_keep_their_order(found):
    created, started = defaultdict(list), defaultdict(list)
    for event in found.events:
        if event.event_type == "run_created":
            created[event.thread_id].append(event.run_id)
        elif event.event_type == "run_started":
            started[event.thread_id].append(event.run_id)
    for thread, order in started.items():
        if order != [run_id for run_id in created[thread] if run_id in set(order)]:
            yield f"{thread}: created in the order {created[thread]}, started in {order}"


def _counts_up(run_id, contents):
    """What each attempt recorded begins with 0 and has no hole."""
    following = Counter()
    for content in contents:
        attempt = content["attempt"]
        if content["number"] != following[attempt]:
            yield f"run {run_id}, attempt {attempt}: {content} where {following[attempt]} is due"
        following[attempt] = content["number"] + 1
