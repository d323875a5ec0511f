"""The checkpointer a graph gets for one attempt: it can be shut, and keeps an undo log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from ...domain.errors import AttemptFenced
from .langgraph_unstorable import refuse_unstorable

if TYPE_CHECKING:
    from ..context import RunContext

COMMANDS = "00000000-0000-0000-0000-000000000000"
"""The task id under which LangGraph saves what a command says."""

Place: TypeAlias = tuple[str, str]
"""A checkpoint within its thread: namespace and id."""


def place_of(config: RunnableConfig) -> Place:
    """The checkpoint a config names."""
    configurable = config["configurable"]
    return configurable.get("checkpoint_ns", ""), configurable.get("checkpoint_id", "")


class UndoLog:
    """What a run did to its thread's checkpoints, noted before it is done.

    All attempts of a run share it. Filled from the event loop and from OS threads; each
    note is one atomic operation on a set or dict.
    """

    def __init__(self) -> None:
        self.created: set[Place] = set()
        """Checkpoints of the run."""
        self.versions: set[tuple[str, str, str | int | float]] = set()
        """Values of channels that came with them: namespace, channel, version."""
        self.before: dict[Place, CheckpointTuple] = {}
        """Older checkpoints as they were before the run wrote on them."""
        self.newest: str | None = None
        """Before the run the graph itself had no later checkpoint; `None`: that is not known."""
        self.touched: set[Place] = set()
        """Those of `before` on which the run did write."""
        self.commanded = False
        """The run's command is saved: it must not be given twice."""
        self.answered: set[str] = set()
        """Ids of interrupts whose answer a task has taken and saved."""
        self._lock = threading.Lock()
        self._writing = 0
        self._quiet: asyncio.Future[None] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around a write, so that a restore can wait for its end."""
        with self._lock:
            self._writing += 1
        try:
            yield
        finally:
            with self._lock:
                self._writing -= 1
                quiet = self._quiet if self._writing == 0 else None
            if quiet is not None:
                quiet.get_loop().call_soon_threadsafe(_set, quiet)

    async def quiet(self) -> None:
        """Wait until no write is under way. Only once the attempts are fenced or over."""
        with self._lock:
            if self._writing == 0:
                return
            self._quiet = asyncio.get_running_loop().create_future()
        await self._quiet

    def note_checkpoint(self, place: Place, versions: ChannelVersions) -> None:
        """The run is about to save a checkpoint of its own."""
        self.created.add(place)
        self.versions.update((place[0], channel, version) for channel, version in versions.items())

    def is_foreign(self, place: Place) -> bool:
        """Whether the state of `place` before the run is still to be noted.

        LangGraph may save what tasks wrote before the checkpoint on which they did.
        """
        if place in self.created or place in self.before:
            return False
        return bool(place[0]) or self.newest is None or place[1] <= self.newest

    def note_writes(self, place: Place, task_id: str, writes: Sequence[tuple[str, Any]]) -> None:
        """The run is about to save what a task wrote at a checkpoint."""
        if place in self.created:
            return
        self.touched.add(place)
        if task_id == COMMANDS:
            self.commanded = True
        elif any(channel == RESUME for channel, _ in writes) and place in self.before:
            self.answered.update(_asked(self.before[place], task_id))


class FencedSaver(BaseCheckpointSaver[Any]):
    """Passes everything to the graph's own saver, until its attempt is fenced.

    From then on each write raises `AttemptFenced`; reads go on. What a write needs for
    its undoing is noted first: the first write at an older checkpoint costs one read.

    Args:
        inner: the graph's saver.
        run: the attempt.
        undo: takes the notes.

    """

    def __init__(self, inner: BaseCheckpointSaver[Any], run: RunContext, undo: UndoLog) -> None:
        super().__init__(serde=inner.serde)
        self._inner = inner
        self._run = run
        self._undo = undo
        self._takes_path = takes_path(type(inner).aput_writes)

    @property
    def config_specs(self) -> list[Any]:
        """As the saver has it."""
        return self._inner.config_specs

    def with_allowlist(
        self, extra_allowlist: Collection[tuple[str, ...]]
    ) -> BaseCheckpointSaver[Any]:
        """The same fence around the saver's clone."""
        return FencedSaver(self._inner.with_allowlist(extra_allowlist), self._run, self._undo)

    def get_next_version(self, current: Any, channel: None) -> Any:
        """As the saver has it."""
        return self._inner.get_next_version(current, channel)

    # Reads.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As the saver has it."""
        return self._inner.get_tuple(config)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As the saver has it."""
        return await self._inner.aget_tuple(config)

    def list(self, config: RunnableConfig | None, **how: Any) -> Iterator[CheckpointTuple]:
        """As the saver has it."""
        return self._inner.list(config, **how)

    def alist(self, config: RunnableConfig | None, **how: Any) -> AsyncIterator[CheckpointTuple]:
        """As the saver has it."""
        return self._inner.alist(config, **how)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As the saver has it."""
        return self._inner.get_delta_channel_history(config=config, channels=channels)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As the saver has it."""
        return await self._inner.aget_delta_channel_history(config=config, channels=channels)

    # Writes.

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint.

        Raises:
            AttemptFenced: the attempt was abandoned.
            UnstorableState: the checkpointer cannot write it down.

        """
        with self._undo.writing():
            self._note_checkpoint(config, checkpoint, new_versions)
            try:
                return self._inner.put(config, checkpoint, metadata, new_versions)
            except TypeError as error:
                refuse_unstorable(error, self.serde, checkpoint["channel_values"].items())
                raise

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint.

        Raises:
            AttemptFenced: the attempt was abandoned.
            UnstorableState: the checkpointer cannot write it down.

        """
        with self._undo.writing():
            self._note_checkpoint(config, checkpoint, new_versions)
            try:
                return await self._inner.aput(config, checkpoint, metadata, new_versions)
            except TypeError as error:
                refuse_unstorable(error, self.serde, checkpoint["channel_values"].items())
                raise

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote.

        Raises:
            AttemptFenced: the attempt was abandoned.
            UnstorableState: the checkpointer cannot write it down.

        """
        place = place_of(config)
        with self._undo.writing():
            if self._undo.is_foreign(place) and (found := self._inner.get_tuple(config)):
                self._undo.before.setdefault(place, found)
            self._note_writes(place, task_id, writes)
            try:
                self._inner.put_writes(config, writes, task_id, *self._path(task_path))
            except TypeError as error:
                refuse_unstorable(error, self.serde, writes)
                raise

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote.

        Raises:
            AttemptFenced: the attempt was abandoned.
            UnstorableState: the checkpointer cannot write it down.

        """
        place = place_of(config)
        with self._undo.writing():
            # Two tasks may both read here, but whichever notes first has read before
            # any of them wrote: a write follows its own note.
            if self._undo.is_foreign(place) and (found := await self._inner.aget_tuple(config)):
                self._undo.before.setdefault(place, found)
            self._note_writes(place, task_id, writes)
            try:
                await self._inner.aput_writes(config, writes, task_id, *self._path(task_path))
            except TypeError as error:
                refuse_unstorable(error, self.serde, writes)
                raise

    def _note_checkpoint(
        self, config: RunnableConfig, checkpoint: Checkpoint, versions: ChannelVersions
    ) -> None:
        self._check()
        self._undo.note_checkpoint((place_of(config)[0], checkpoint["id"]), versions)

    def _note_writes(self, place: Place, task_id: str, writes: Sequence[tuple[str, Any]]) -> None:
        self._check()
        self._undo.note_writes(place, task_id, writes)

    def _path(self, task_path: str) -> tuple[str, ...]:
        return (task_path,) if self._takes_path else ()

    def _check(self) -> None:
        if self._run.fenced:
            raise AttemptFenced(self._run.run_id)


@cache
def takes_path(aput_writes: Callable[..., Any]) -> bool:
    """Whether a saver takes the paths of tasks: those from before there were paths do not."""
    return "task_path" in signature(aput_writes).parameters


def _asked(found: CheckpointTuple, task_id: str) -> Iterator[str]:
    for task, channel, value in found.pending_writes or ():
        if task == task_id and channel == INTERRUPT:
            yield from (asked.id for asked in value)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
