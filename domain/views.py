"""What a caller gets to see, as plain data that may cross machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .commands import CreateRunCommand
from .enums import CancelAction, EventCategory, RunStatus, StopReason, ThreadStatus
from .payload import JSON
from .records import quick


@quick
@dataclass(frozen=True, slots=True)
class Frame:
    """One stream item.

    `id` is unique and increases within a run; a `heartbeat` or `gap` has none.
    """

    id: str | None
    event: str
    data: JSON = None


@dataclass(frozen=True, slots=True)
class FramePage:
    """Some frames of a run, in order.

    Args:
        frames: the frames; empty when none came in time.
        next: pass it as `after` to read on.
        end: nothing will follow this page.

    """

    frames: tuple[Frame, ...]
    next: int
    end: bool


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RunUsage:
    """What a run spent, as far as its agent told."""

    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_tokens: int = 0
    llm_call_count: int = 0
    lead_agent_tokens: int = 0
    subagent_tokens: int = 0
    middleware_tokens: int = 0
    tokens_by_model: Mapping[str, int] = field(default_factory=dict)
    message_count: int = 0
    first_human_message: str | None = None
    last_ai_message: str | None = None


NO_USAGE = RunUsage()


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """A run as it is recorded at one moment."""

    request: CreateRunCommand
    """What was asked for, unchanged."""
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    """The attempt under way, or the last one; 0 before the first."""
    action: CancelAction | None = None
    """How it was aborted, if it was."""
    stop_reason: StopReason | None = None
    error: str | None = None
    output: JSON = None
    completion_data: Mapping[str, JSON] = field(default_factory=dict)
    """What the executor has to tell beside the output, `interrupts` for one."""
    title: str | None = None
    model_name: str | None = None
    usage: RunUsage = NO_USAGE
    reused: bool = False
    """This run existed before: it was found by its id or its idempotency key."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.request.run_id

    @property
    def thread_id(self) -> str:
        """The id of its thread."""
        return self.request.thread_id

    @property
    def assistant_id(self) -> str:
        """The name of its agent."""
        return self.request.assistant_id

    @property
    def user_id(self) -> str | None:
        """Whom it belongs to."""
        return self.request.user_id

    @property
    def metadata(self) -> Mapping[str, JSON]:
        """The metadata it was created with."""
        return self.request.metadata

    @property
    def waits_for_human(self) -> bool:
        """Whether it stopped for a human: at a question, or at a breakpoint."""
        return "interrupts" in self.completion_data


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended."""

    run_id: str
    thread_id: str
    status: RunStatus
    error: str | None = None
    stop_reason: StopReason | None = None
    output: JSON = None
    completion_data: Mapping[str, JSON] = field(default_factory=dict)
    title: str | None = None

    @classmethod
    def of(cls, run: RunSnapshot) -> RunResult:
        """The result that a terminal run's record tells."""
        return cls(
            run_id=run.run_id,
            thread_id=run.thread_id,
            status=run.status,
            error=run.error,
            stop_reason=run.stop_reason,
            output=run.output,
            completion_data=run.completion_data,
            title=run.title,
        )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadSnapshot:
    """A thread as it is recorded at one moment.

    A thread that was never created by itself has the record that its runs make.
    """

    thread_id: str
    created_at: datetime
    updated_at: datetime
    """When it was changed last, or a run of it was created or ended."""
    status: ThreadStatus
    user_id: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    last_run_id: str | None = None
    """The run that ended last, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStreamHandle:
    """A run that was created to be streamed."""

    run: RunSnapshot
    last_event_id: str | None = None
    """The last frame that was handed out, to resume from."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.run.run_id

    @property
    def thread_id(self) -> str:
        """The id of its thread."""
        return self.run.thread_id


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRunEvent:
    """One entry of the event log."""

    position: int
    """Its place in the whole log."""
    seq: int
    """Its place in its thread."""
    event_id: str
    thread_id: str
    run_id: str
    category: EventCategory
    event_type: str
    content: JSON
    created_at: datetime
    sequence: int | None = None
    """Its place among its run's lifecycle events."""
    metadata: Mapping[str, JSON] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class RunMessageView:
    """One message of a conversation."""

    seq: int
    thread_id: str
    run_id: str
    role: str
    content: JSON
    created_at: datetime
    metadata: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def of(cls, event: StoredRunEvent) -> RunMessageView:
        """The message that a stored event of category `message` holds."""
        return cls(
            seq=event.seq,
            thread_id=event.thread_id,
            run_id=event.run_id,
            role=event.event_type,
            content=event.content,
            created_at=event.created_at,
            metadata=event.metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTokens:
    """What one model used on a thread."""

    tokens: int = 0
    runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTokens:
    """Who spent a thread's tokens."""

    lead_agent: int = 0
    subagent: int = 0
    middleware: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadTokens:
    """What the runs of a thread used together."""

    total_tokens: int = 0
    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_runs: int = 0
    by_model: Mapping[str, ModelTokens] = field(default_factory=dict)
    by_caller: CallerTokens = CallerTokens()
