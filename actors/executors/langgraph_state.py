"""A thread's checkpoints before a run, and how they are put back.

What a run did is known exactly: its own checkpoints, and the older ones on which it wrote
(a resume writes on the checkpoint that waits for it). Restoring takes away the first and
resets the second, in every namespace. Ids, parents, metadata and the order of writes stay:
the task ids of pending writes derive from the checkpoint's id.

An `InMemorySaver` is repaired in one synchronous step. A saver that can delete by run id
is asked to, if there is nothing to reset. Any other can only delete a whole thread: the
history is read to its end first, then deleted, then saved again, oldest first. That is not
atomic: a process that dies in between loses the thread's history. A restore that failed
may be repeated; it does not read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    PendingWrite,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ...domain.errors import InvalidValue
from .langgraph_saver import COMMANDS, Place, UndoLog, place_of


class Captured:
    """A run's memory of its thread before it, shared by its attempts.

    Args:
        thread_id: the thread of the checkpoints.
        head: its latest checkpoint; `None` when there is none.
        run_id: the run.

    """

    def __init__(self, thread_id: str, head: CheckpointTuple | None, run_id: str) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.undo = UndoLog()
        self.seen: set[str] = set()
        """Keys of the messages that are no news."""
        self.began = False
        """The input has been taken by the graph, and its messages are recorded."""
        self.kept: list[CheckpointTuple] | None = None
        """The history before the run, while a restore is at work."""
        self.inherited = head is not None and head.metadata.get("run_id") == run_id
        """An earlier process left checkpoints of this run."""
        if head is not None:
            self.undo.newest = head.checkpoint["id"]
        if head is not None and not self.inherited:
            self.undo.before[place_of(head.config)] = head


async def capture_thread(
    saver: BaseCheckpointSaver[Any], thread_id: str, run_id: str, attempt: int
) -> tuple[Captured, CheckpointTuple | None]:
    """Remember a thread's latest checkpoint with its pending writes; one read.

    Returns:
        what is remembered, and the checkpoint; `None` when there is none.

    Raises:
        InvalidValue: a pending write is malformed.

    """
    head = await saver.aget_tuple(root_of(thread_id))
    for write in (head and head.pending_writes) or ():
        if len(write) != 3 or not (isinstance(write[0], str) and isinstance(write[1], str)):
            raise InvalidValue("pending write", write, "repair the thread's last checkpoint")
    captured = Captured(thread_id, head, run_id)
    if attempt > 1 and head is not None and not captured.inherited:
        # Only a command that was not carried out leaves writes of its own behind.
        captured.undo.commanded = any(w[0] == COMMANDS for w in head.pending_writes or ())
    return captured, head


def values_in(found: CheckpointTuple) -> Iterator[Mapping[str, Any]]:
    """The values of a checkpoint, then what tasks wrote at it, as they are saved.

    No reducer is called, so that it does not matter whether the graph takes what was written.
    """
    yield found.checkpoint["channel_values"]
    for _, channel, value in found.pending_writes or ():
        yield {channel: value}


def keeps_changes(found: CheckpointTuple) -> bool:
    """Whether a checkpoint leaves values to be computed from those before it."""
    return "counters_since_delta_snapshot" in found.metadata or any(
        isinstance(value, _DeltaSnapshot) for value in found.checkpoint["channel_values"].values()
    )


async def restore_thread(saver: BaseCheckpointSaver[Any], captured: Captured) -> None:
    """Make the thread's checkpoints those before the run. Idempotent.

    Raises:
        Exception: whatever the saver raises.

    """
    undo = captured.undo
    await undo.quiet()
    if not (undo.created or undo.touched or captured.inherited or captured.kept):
        return
    if isinstance(saver, InMemorySaver):
        _repair(saver, captured)
    elif not undo.touched and captured.kept is None and _deletes_by_run(saver):
        await saver.adelete_for_runs([captured.run_id])
    else:
        await _rewrite(saver, captured)
    undo.created.clear()
    undo.versions.clear()
    undo.touched.clear()
    captured.inherited = False


def root_of(thread_id: str) -> RunnableConfig:
    """The config of a thread's latest checkpoint."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


def _deletes_by_run(saver: BaseCheckpointSaver[Any]) -> bool:
    return type(saver).adelete_for_runs is not BaseCheckpointSaver.adelete_for_runs


def _repair(saver: InMemorySaver, captured: Captured) -> None:
    thread_id, undo = captured.thread_id, captured.undo
    namespaces = saver.storage.get(thread_id, {})
    for namespace, checkpoint_id in undo.created:
        namespaces.get(namespace, {}).pop(checkpoint_id, None)
        saver.writes.pop((thread_id, namespace, checkpoint_id), None)
    for namespace, channel, version in undo.versions:
        saver.blobs.pop((thread_id, namespace, channel, version), None)
    for namespace in [name for name, found in namespaces.items() if not found]:
        del namespaces[namespace]
    if not namespaces:
        saver.storage.pop(thread_id, None)
    for place in undo.touched:
        saver.writes.pop((thread_id, *place), None)
        if found := undo.before.get(place):
            for task_id, path, writes in _by_task(found.pending_writes or ()):
                saver.put_writes(_at(thread_id, place), writes, task_id, path)


async def _rewrite(saver: BaseCheckpointSaver[Any], captured: Captured) -> None:
    if captured.kept is None:
        captured.kept = await _history(saver, captured)
    await saver.adelete_thread(captured.thread_id)
    saved: set[tuple[str, str, str | int | float]] = set()
    undo = captured.undo
    for found in captured.kept:
        place = place_of(found.config)
        before = undo.before.get(place, found) if place in undo.touched else found
        await put_back(saver, captured.thread_id, found, before.pending_writes, saved)
    captured.kept = None


async def _history(saver: BaseCheckpointSaver[Any], captured: Captured) -> list[CheckpointTuple]:
    thread: RunnableConfig = {"configurable": {"thread_id": captured.thread_id}}
    kept = [
        found
        async for found in saver.alist(thread)
        if place_of(found.config) not in captured.undo.created
        and found.metadata.get("run_id") != captured.run_id
    ]
    return sorted(kept, key=lambda found: found.checkpoint["id"])


async def put_back(
    saver: BaseCheckpointSaver[Any],
    thread_id: str,
    found: CheckpointTuple,
    pending: Iterable[PendingWrite] | None,
    saved: set[tuple[str, str, str | int | float]],
) -> None:
    """Save a checkpoint on a thread, as it was found, with these pending writes.

    Args:
        saver: keeps it.
        thread_id: the thread.
        found: the checkpoint; its parent must have been put there before.
        pending: what tasks had written at it.
        saved: values of channels that need not be saved again; grows.

    """
    place = place_of(found.config)
    parent = place_of(found.parent_config)[1] if found.parent_config else None
    fresh = {
        name: version
        for name, version in found.checkpoint["channel_versions"].items()
        if (place[0], name, version) not in saved
    }
    saved.update((place[0], name, version) for name, version in fresh.items())
    config = _at(thread_id, (place[0], parent or ""))
    if parent is None:
        del config["configurable"]["checkpoint_id"]
    await saver.aput(config, found.checkpoint, found.metadata, fresh)
    for task_id, path, writes in _by_task(pending or ()):
        await saver.aput_writes(_at(thread_id, place), writes, task_id, path)


def _by_task(
    pending: Iterable[PendingWrite],
) -> Iterable[tuple[str, str, list[tuple[str, Any]]]]:
    """Pending writes as a saver takes them, with paths that keep the order of the tasks.

    A task's special writes go apart: a saver replaces those.
    """
    tasks: dict[str, list[tuple[str, Any]]] = {}
    for task_id, channel, value in pending:
        tasks.setdefault(task_id, []).append((channel, value))
    for place, (task_id, writes) in enumerate(tasks.items()):
        path = "" if task_id == COMMANDS else f"{place:010d}"
        for special in (True, False):
            if part := [w for w in writes if (w[0] in WRITES_IDX_MAP) is special]:
                yield task_id, path, part


def _at(thread_id: str, place: Place) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": place[0],
            "checkpoint_id": place[1],
        }
    }
