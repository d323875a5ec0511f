"""A checkpointer that keeps the states of graphs in a store of callboard.

They are in the same file or database as the runs, written by the same connection, and what
several graphs write at the same time is committed together.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ...domain.commands import check_many
from ...domain.errors import WrongLoop
from ...store.graph_checkpoints import GraphCheckpoint, GraphCheckpoints, GraphState, GraphWrite

T = TypeVar("T")

_PAGE = 50
"""Checkpoints that are read at once."""


class StoreSaver(BaseCheckpointSaver[int]):
    """Keeps the states of graphs in a store.

    Its asynchronous methods are for the event loop of the store; the others for the OS threads
    of plain nodes, while that loop runs.

    Args:
        kept: where; `SqlStore.graph_checkpoints`.
        serde: turns states into bytes; LangGraph's own by default.

    """

    def __init__(self, kept: GraphCheckpoints, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._kept = kept
        self._loop: asyncio.AbstractEventLoop | None = None
        self._behind: list[Awaitable[None]] | None = None
        """What is being written, where that is not waited for at once."""

    def behind(self) -> StoreSaver:
        """One that does not wait for what it writes, until it reads or is flushed."""
        behind = copy(self)
        behind._behind = []
        return behind

    async def flush(self) -> None:
        """Wait for all that is being written.

        Raises:
            StoreUnavailable: some of it is not stored.

        """
        if self._behind:
            self._kept.hurry()
            written, self._behind[:] = self._behind[:], []
            for error in await asyncio.gather(*written, return_exceptions=True):
                if error is not None:
                    raise error

    async def _written(self, written: Awaitable[None]) -> None:
        if self._behind is None:
            await written
        else:
            self._behind.append(written)

    # Reading.

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or its thread's latest in the namespace."""
        self._loop = asyncio.get_running_loop()
        await self.flush()
        thread_id, namespace = _place(config)
        found = await self._kept.find(thread_id, namespace, get_checkpoint_id(config))
        return None if found is None else self._tuple(found)[0]

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph calls it so
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, latest first.

        Args:
            config: of which thread, namespace and id, as far as it tells.
            filter: what their metadata must hold.
            before: only those before this one.
            limit: most of them.

        """
        await self.flush()
        configurable = {} if config is None else config["configurable"]
        wanted = configurable.get("checkpoint_id")
        last = None if before is None else get_checkpoint_id(before)
        behind: GraphCheckpoint | None = None
        left = limit
        while left is None or left > 0:
            page = await self._kept.page(
                None if config is None else str(configurable["thread_id"]),
                configurable.get("checkpoint_ns"),
                before=last,
                behind=behind,
                limit=_PAGE,
            )
            for state in page:
                behind = state.checkpoint
                found, metadata = self._tuple(state)
                if wanted in (None, behind.checkpoint_id) and _matches(metadata, filter):
                    yield found
                    left = None if left is None else left - 1
                    if left == 0:
                        return
            if len(page) < _PAGE:
                return

    def _tuple(self, state: GraphState) -> tuple[CheckpointTuple, CheckpointMetadata]:
        kept = state.checkpoint
        checkpoint, metadata = self.serde.loads_typed((kept.kind, kept.state))
        parent = None if kept.parent_id is None else _config(kept, kept.parent_id)
        writes = [
            (write.task_id, write.channel, self.serde.loads_typed((write.kind, write.value)))
            for write in state.writes
        ]
        config = _config(kept, kept.checkpoint_id)
        return CheckpointTuple(config, checkpoint, metadata, parent, writes), metadata

    # Writing.

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - a checkpoint is kept whole
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        self._loop = asyncio.get_running_loop()
        thread_id, namespace = _place(config)
        told = get_checkpoint_metadata(config, metadata)
        run_id = told.get("run_id")
        kind, state = self.serde.dumps_typed([checkpoint, told])
        kept = GraphCheckpoint(
            thread_id,
            namespace,
            checkpoint["id"],
            get_checkpoint_id(config),
            None if run_id is None else str(run_id),
            kind,
            state,
        )
        await self._written(self._kept.save(kept, soon=self._behind is None))
        return _config(kept, kept.checkpoint_id)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a task wrote."""
        thread_id, namespace = _place(config)
        rows = [
            GraphWrite(
                task_id,
                WRITES_IDX_MAP.get(channel, place),
                task_path,
                channel,
                *self.serde.dumps_typed(value),
            )
            for place, (channel, value) in enumerate(writes)
        ]
        checkpoint_id = str(config["configurable"]["checkpoint_id"])
        at = (thread_id, namespace, checkpoint_id)
        soon = self._behind is None
        await self._written(self._kept.save_writes(*at, rows, soon=soon))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all of a thread."""
        await self._kept.forget_thread(str(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete what these runs made."""
        await self._kept.forget_runs(check_many(run_ids, "run_ids"))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Give a thread all checkpoints of another."""
        await self._kept.copy_thread(source_thread_id, target_thread_id)

    # For plain nodes, on OS threads of their own.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `aget_tuple`."""
        return self._wait(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph calls it so
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """See `alist`."""

        async def found() -> list[CheckpointTuple]:
            listed = self.alist(config, filter=filter, before=before, limit=limit)
            return [each async for each in listed]

        return iter(self._wait(found()))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See `aput`."""
        return self._wait(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """See `aput_writes`."""
        self._wait(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """See `adelete_thread`."""
        self._wait(self.adelete_thread(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `adelete_for_runs`."""
        self._wait(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `acopy_thread`."""
        self._wait(self.acopy_thread(source_thread_id, target_thread_id))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        loop = self._loop
        if loop is None or not loop.is_running() or loop is _running():
            work.close()
            raise WrongLoop
        return asyncio.run_coroutine_threadsafe(work, loop).result()


@asynccontextmanager
async def writing_behind(
    saver: BaseCheckpointSaver[Any] | None, durability: str | None
) -> AsyncIterator[BaseCheckpointSaver[Any] | None]:
    """For one attempt: its steps do not wait until they are stored, its end does.

    Args:
        saver: the graph's.
        durability: as LangGraph has it; with `sync` each step waits.

    """
    if not isinstance(saver, StoreSaver) or durability == "sync":
        yield saver
        return
    behind = saver.behind()
    try:
        yield behind
    except BaseException:
        with suppress(Exception):  # what ended the attempt matters more
            await behind.flush()
        raise
    await behind.flush()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _place(config: RunnableConfig) -> tuple[str, str]:
    configurable = config["configurable"]
    return str(configurable["thread_id"]), str(configurable.get("checkpoint_ns", ""))


def _config(kept: GraphCheckpoint, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": kept.thread_id,
            "checkpoint_ns": kept.namespace,
            "checkpoint_id": checkpoint_id,
        }
    }


def _matches(metadata: CheckpointMetadata, wanted: dict[str, Any] | None) -> bool:
    return all(metadata.get(key) == value for key, value in (wanted or {}).items())
