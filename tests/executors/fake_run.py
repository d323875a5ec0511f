"""A run seen from the inside, without a runtime around it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from callboard.actors.executors import AttemptOutput
from callboard.actors.executors.langgraph import LangGraphExecutor
from callboard.domain.enums import RunScope
from callboard.domain.payload import plain


@dataclass
class FakeRun:
    input: Any = None
    run_id: str = "run-1"
    thread_id: str = "thread-1"
    user_id: str | None = None
    attempt: int = 1
    config: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    command: Any = None
    stream_mode: tuple[str, ...] = ()
    interrupt_before: Any = ()
    interrupt_after: Any = ()
    scope: RunScope = RunScope.STATEFUL
    fenced: bool = False
    abort: Any = field(default_factory=lambda: SimpleNamespace(action=None))
    frames: list[tuple[str, Any]] = field(default_factory=list)
    messages: list[tuple[str, Any]] = field(default_factory=list)
    usage: list[tuple[str, int, int, str]] = field(default_factory=list)

    def emit(self, event: str, data: Any = None) -> Any:
        self.frames.append((event, plain(data, "data")))
        return data

    async def flush(self) -> None:
        await asyncio.sleep(0)

    def message(self, role: str, content: Any, **metadata: Any) -> None:
        plain(metadata, "metadata")
        self.messages.append((role, plain(content, "content")))

    def record_usage(self, model: str, read: int, written: int, caller: str = "lead_agent") -> None:
        self.usage.append((model, read, written, caller))

    def again(self) -> FakeRun:
        """The next attempt; what was recorded stays."""
        return replace(self, attempt=self.attempt + 1)

    def of(self, event: str) -> list[Any]:
        return [data for name, data in self.frames if name == event]


async def finish(executor: LangGraphExecutor, run: FakeRun) -> AttemptOutput:
    """Capture and execute."""
    captured = await executor.capture(run)  # type: ignore[arg-type]
    output = await executor.execute(run)  # type: ignore[arg-type]
    del captured
    return output


def human(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}
