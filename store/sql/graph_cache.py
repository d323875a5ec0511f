"""The latest states of graphs, kept in memory by the one process that writes them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..graph_checkpoints import GraphCheckpoint, GraphState, GraphWrite

_ENTRY = 512
"""Bytes of an entry, beside its state."""


class Unknown:
    """What is the latest is to be read, and may then be filled in."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = _ENTRY


class Found(NamedTuple):
    """What was read of a namespace."""

    state: GraphState | None
    """The latest."""
    early: Mapping[str, tuple[GraphWrite, ...]]
    """What tasks wrote on later checkpoints, which are not written yet, by their ids."""


class _Known:
    """All there is from the latest checkpoint on."""

    __slots__ = ("early", "size", "state")

    def __init__(
        self, state: GraphState | None, early: Mapping[str, tuple[GraphWrite, ...]]
    ) -> None:
        self.state = state
        self.early = early
        self.size = _ENTRY + sum(map(_size, early.values()))
        if state is not None:
            self.size += len(state.checkpoint.state) + _size(state.writes)

    def after(self, checkpoint: GraphCheckpoint) -> _Known:
        """A later checkpoint was written."""
        at = checkpoint.checkpoint_id
        later = {each: writes for each, writes in self.early.items() if each > at}
        return _Known(GraphState(checkpoint, self.early.get(at, ())), later)

    def with_writes(self, checkpoint_id: str, writes: Sequence[GraphWrite]) -> _Known:
        """Tasks wrote on the latest checkpoint, or on one that is not written yet."""
        state = self.state
        if state is not None and checkpoint_id < state.checkpoint.checkpoint_id:
            return self
        if state is not None and checkpoint_id == state.checkpoint.checkpoint_id:
            together = _together(state.writes, writes)
            return _Known(GraphState(state.checkpoint, together), self.early)
        together = _together(self.early.get(checkpoint_id, ()), writes)
        return _Known(state, {**self.early, checkpoint_id: together})


class LatestStates:
    """The latest checkpoint of each namespace of the threads that were used last.

    It follows what is written, in the order in which it is; so it is exact as long as nobody
    else writes. A read that was under way while a namespace was written fills nothing in.

    Args:
        capacity: bytes that it may hold, about.

    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._threads: OrderedDict[str, dict[str, _Known | Unknown]] = OrderedDict()
        self._size = 0

    def find(self, thread_id: str, namespace: str) -> GraphState | Unknown | None:
        """The latest state; `None` if there is none, `Unknown` if it has to be read."""
        namespaces = self._threads.setdefault(thread_id, {})
        self._threads.move_to_end(thread_id)
        entry = namespaces.get(namespace)
        if isinstance(entry, _Known):
            return entry.state
        if entry is None:
            entry = self._set(thread_id, namespace, Unknown())
        return entry if isinstance(entry, Unknown) else None

    def fill(self, at: tuple[str, str], asked: Unknown, found: Found) -> None:
        """What a read found, unless something was written since it began."""
        thread_id, namespace = at
        if self._threads.get(thread_id, {}).get(namespace) is asked:
            self._set(thread_id, namespace, _Known(*found))

    def saved(self, checkpoint: GraphCheckpoint) -> None:
        """A checkpoint was written."""
        thread_id, namespace = checkpoint.thread_id, checkpoint.namespace
        entry = self._threads.get(thread_id, {}).get(namespace)
        if not isinstance(entry, _Known):
            self._drop(thread_id, namespace)
            return
        latest = None if entry.state is None else entry.state.checkpoint.checkpoint_id
        if latest is None or checkpoint.checkpoint_id > latest:
            self._set(thread_id, namespace, entry.after(checkpoint))
        elif checkpoint.checkpoint_id == latest:
            self._drop(thread_id, namespace)

    def wrote(self, at: tuple[str, str, str], writes: Sequence[GraphWrite]) -> None:
        """What a task wrote on a checkpoint was written."""
        thread_id, namespace, checkpoint_id = at
        entry = self._threads.get(thread_id, {}).get(namespace)
        if isinstance(entry, _Known):
            self._set(thread_id, namespace, entry.with_writes(checkpoint_id, writes))
        else:
            self._drop(thread_id, namespace)

    def forget_thread(self, thread_id: str) -> None:
        """What there is of a thread has changed."""
        for namespace in list(self._threads.get(thread_id, ())):
            self._drop(thread_id, namespace)

    def forget(self) -> None:
        """Anything may have changed."""
        self._threads.clear()
        self._size = 0

    def _set(self, thread_id: str, namespace: str, entry: _Known | Unknown) -> _Known | Unknown:
        self._drop(thread_id, namespace)
        self._threads.setdefault(thread_id, {})[namespace] = entry
        self._threads.move_to_end(thread_id)
        self._size += entry.size
        while self._size > self._capacity:
            self.forget_thread(next(iter(self._threads)))
        return entry

    def _drop(self, thread_id: str, namespace: str) -> None:
        namespaces = self._threads.get(thread_id)
        if namespaces is None:
            return
        entry = namespaces.pop(namespace, None)
        if entry is not None:
            self._size -= entry.size
        if not namespaces:
            del self._threads[thread_id]


def in_order(writes: Iterable[GraphWrite]) -> tuple[GraphWrite, ...]:
    """As the tasks of a step are applied."""
    return tuple(sorted(writes, key=lambda write: (write.task_path, write.task_id, write.place)))


def _together(known: Iterable[GraphWrite], writes: Iterable[GraphWrite]) -> tuple[GraphWrite, ...]:
    """What is there stays, but for places below zero."""
    places = {(write.task_id, write.place): write for write in known}
    for write in writes:
        if write.place < 0 or (write.task_id, write.place) not in places:
            places[write.task_id, write.place] = write
    return in_order(places.values())


def _size(writes: Iterable[GraphWrite]) -> int:
    return sum(_ENTRY + len(write.value) for write in writes)
