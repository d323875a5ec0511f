"""The peer: an honest run registry with one lock.

One asyncio lock, a dictionary of all runs, a task for each run, and an in-flight check by
scanning. It does the job that callboard does for one run: it checks the command, keeps a
record, moves its status by the transition table, writes the lifecycle events to a log with
ids, sequences and times, buffers the stream's first and last frame, and wakes who waits.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from callboard.domain import (
    ConflictError,
    CreateRunCommand,
    Frame,
    LifecycleEventType,
    Run,
    RunLifecycleEvent,
    RunResult,
)

Agent = Callable[[Any], Awaitable[Any]]


class Record:
    """A run and all that goes with it."""

    def __init__(self, command: CreateRunCommand, run: Run) -> None:
        self.command = command
        self.run = run
        self.output: Any = None
        self.sequence = 0
        self.ended = asyncio.Event()
        self.frames: list[Frame] = []
        self.task: asyncio.Task[None] | None = None


class LockedRegistry:
    """Runs agents.

    Args:
        agent: the agent.
        retain: keep ended runs and their events.

    """

    def __init__(self, agent: Agent, *, retain: bool) -> None:
        self._agent = agent
        self._retain = retain
        self._lock = asyncio.Lock()
        self._runs: dict[str, Record] = {}
        self._log: list[RunLifecycleEvent] = []

    async def create(self, thread_id: str) -> Record:
        """Admit a run with strategy `reject`."""
        command = CreateRunCommand(
            run_id=str(uuid.uuid4()), thread_id=thread_id, assistant_id="agent"
        )
        async with self._lock:
            for other in self._runs.values():
                if other.command.thread_id == thread_id and not other.run.is_terminal:
                    raise ConflictError(thread_id, other.run.run_id)
            run = Run.create(command.run_id, thread_id, "agent", datetime.now(UTC))
            record = Record(command, run)
            self._runs[run.run_id] = record
            self._emit(record, LifecycleEventType.RUN_CREATED)
            self._emit(record, LifecycleEventType.THREAD_STATUS_UPDATED)
            record.frames.append(Frame("1", "metadata", {"run_id": run.run_id}))
        record.task = asyncio.create_task(self._execute(record))
        return record

    async def wait(self, record: Record) -> RunResult:
        """Wait for a run's end."""
        await record.ended.wait()
        run = record.run
        return RunResult(
            run_id=run.run_id, thread_id=run.thread_id, status=run.status, output=record.output
        )

    async def _execute(self, record: Record) -> None:
        async with self._lock:
            record.run.mark_started(datetime.now(UTC))
            self._emit(record, LifecycleEventType.RUN_STARTED)
        record.output = await self._agent(record)
        async with self._lock:
            record.run.mark_completed(datetime.now(UTC))
            self._emit(record, LifecycleEventType.RUN_COMPLETED)
            self._emit(record, LifecycleEventType.THREAD_STATUS_UPDATED)
            record.frames.append(Frame("2", "end", {"status": str(record.run.status)}))
            if not self._retain:
                del self._runs[record.run.run_id]
                self._log.clear()
        record.ended.set()

    def _emit(self, record: Record, kind: LifecycleEventType) -> None:
        record.sequence += 1
        self._log.append(
            RunLifecycleEvent(
                event_id=str(uuid.uuid4()),
                event_type=kind,
                run_id=record.run.run_id,
                thread_id=record.run.thread_id,
                sequence=record.sequence,
                occurred_at=datetime.now(UTC),
                payload={"status": str(record.run.status)},
            )
        )
