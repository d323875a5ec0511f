"""What an agent is handed: its run, seen from the inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..domain.commands import CreateRunCommand, NodeNames
from ..domain.enums import RunScope
from ..domain.errors import AttemptFenced, InvalidValue
from ..domain.fence import Fence
from ..domain.payload import JSON, plain
from ..kernel import LoopRef
from ..observers import FrameWriter, Sync, Write
from ..store.entries import DropState, Entry, SaveState
from .abort import AbortSignal
from .messages import Describe, Record

if TYPE_CHECKING:
    from .wiring import Wiring

Caller = Literal["lead_agent", "subagent", "middleware"]
CALLERS = ("lead_agent", "subagent", "middleware")
"""Who may have spent tokens."""
MOST_TOKENS = 10**12
"""Of one call: the sums over many calls still fit a database's integers."""


class AttemptGate:
    """Open while an attempt may write; closed for good when it is over or fenced."""

    __slots__ = ("closed", "fenced")

    def __init__(self) -> None:
        self.closed = False
        self.fenced = False


class Checkpoint:
    """The thread's state, for agents that keep it themselves.

    `rollback` restores what it was before the run; a restarted attempt finds what the
    last one saved.
    """

    __slots__ = ("_actor", "_fence", "_gate", "_request", "_wiring")

    def __init__(
        self,
        wiring: Wiring,
        request: CreateRunCommand,
        fence: Fence,
        gate: AttemptGate,
        actor: LoopRef[Any],
    ) -> None:
        self._wiring = wiring
        self._request = request
        self._fence = fence
        self._gate = gate
        self._actor = actor

    async def load(self) -> JSON:
        """The thread's state as last saved; `None` if never."""
        return await self._wiring.store.checkpoints.load(self._request.thread_id)

    async def save(self, state: JSON) -> None:
        """Make `state` the thread's state.

        When it is stored, so are the messages that the agent recorded before, and the
        frames it published, if the run is resumable: a state never knows of something that
        is lost.

        Raises:
            UnserialisablePayload: it is not JSON.
            AttemptFenced: the attempt is over.
            Fenced: this runtime no longer owns the thread.

        """
        copied = plain(state, "state")
        self._check_open()
        if self._request.resumable:
            await self._wiring.ask(self._wiring.stream, Sync(self._request.run_id))
        await self._actor.request(Describe())  # what it recorded is on its way now
        self._check_open()
        await self._write(SaveState(self._request.thread_id, self._request.run_id, copied))

    def _check_open(self) -> None:
        if self._gate.closed:
            raise AttemptFenced(self._request.run_id)

    async def forget(self) -> None:
        """Drop what this run saved; for executors."""
        await self._write(DropState(self._request.thread_id, self._request.run_id))

    async def _write(self, checkpoint: SaveState | DropState) -> None:
        entry = Entry(self._fence, checkpoint=checkpoint)
        await self._wiring.ask(self._wiring.journal, Write(entry))


class RunContext:
    """One attempt at a run, as its agent sees it.

    All methods but the async ones may be called from any OS thread. After the attempt is
    over they raise `AttemptFenced`.
    """

    __slots__ = ("_actor", "_gate", "_request", "_writer", "abort", "attempt", "checkpoint")

    def __init__(
        self,
        request: CreateRunCommand,
        attempt: int,
        actor: LoopRef[Any],
        writer: FrameWriter,
        abort: AbortSignal,
        checkpoint: Checkpoint,
        gate: AttemptGate,
    ) -> None:
        self._request = request
        self._actor = actor
        self._writer = writer
        self._gate = gate
        self.attempt = attempt
        """1 for the first try, one more after each restart."""
        self.abort = abort
        """Whether, and how, the run should end early."""
        self.checkpoint = checkpoint
        """The thread's state."""

    @property
    def run_id(self) -> str:
        """The run."""
        return self._request.run_id

    @property
    def thread_id(self) -> str:
        """Its thread."""
        return self._request.thread_id

    @property
    def assistant_id(self) -> str:
        """The name its agent is registered under."""
        return self._request.assistant_id

    @property
    def user_id(self) -> str | None:
        """Whom it belongs to."""
        return self._request.user_id

    @property
    def input(self) -> JSON:
        """What the caller gave."""
        return self._request.input

    @property
    def config(self) -> Mapping[str, JSON]:
        """What the caller gave."""
        return self._request.config

    @property
    def context(self) -> Mapping[str, JSON]:
        """What the caller gave."""
        return self._request.context

    @property
    def metadata(self) -> Mapping[str, JSON]:
        """What the caller gave."""
        return self._request.metadata

    @property
    def command(self) -> JSON:
        """For graphs: what to resume, update or go to."""
        return self._request.command

    @property
    def stream_mode(self) -> tuple[str, ...]:
        """For graphs: what to stream."""
        return self._request.stream_mode

    @property
    def interrupt_before(self) -> NodeNames:
        """For graphs: nodes to stop before."""
        return self._request.interrupt_before

    @property
    def interrupt_after(self) -> NodeNames:
        """For graphs: nodes to stop after."""
        return self._request.interrupt_after

    @property
    def scope(self) -> RunScope:
        """How much of its thread the run leaves behind."""
        return self._request.scope

    @property
    def fenced(self) -> bool:
        """Whether the attempt was abandoned: nothing it writes is kept."""
        return self._gate.fenced

    @property
    def backlog(self) -> int:
        """Frames that the stream has not taken yet."""
        return self._writer.backlog

    def emit(self, event: str, data: JSON = None) -> JSON:
        """Publish a frame.

        Args:
            event: its name.
            data: JSON; a copy is published.

        Returns:
            the copy.

        Raises:
            InvalidValue: the name is blank, not printable or one of callboard's own.
            UnserialisablePayload: the data is not JSON.
            AttemptFenced: the attempt is over.

        """
        if not _is_name(event) or event in RESERVED:
            raise InvalidValue(
                "event",
                event,
                f"give a printable name that is none of {', '.join(sorted(RESERVED))}",
            )
        copied = plain(data, "data")
        if self._gate.closed:
            raise AttemptFenced(self._request.run_id)
        self._writer.write(event, copied)
        return copied

    async def flush(self) -> None:
        """Let the frames out, and the others have the event loop."""
        await self._writer.stream.request(Sync(self.run_id))

    def message(self, role: str, content: JSON, **metadata: JSON) -> None:
        """Record a message of the conversation.

        Args:
            role: `human`, `ai`, `tool`, `system`.
            content: JSON.
            metadata: JSON, kept with it.

        Raises:
            InvalidValue: the role is blank or not printable.
            UnserialisablePayload: the content is not JSON.
            AttemptFenced: the attempt is over.

        """
        if not _is_name(role):
            raise InvalidValue("role", role, "give 'human', 'ai', 'tool' or 'system'")
        data = {"role": role, "content": plain(content, "content")}
        if metadata:
            data["metadata"] = plain(metadata, "metadata")
        self._record("message", data)

    def record_usage(
        self, model: str, input_tokens: int, output_tokens: int, caller: Caller = "lead_agent"
    ) -> None:
        """Record one call of a language model.

        Args:
            model: the model's name.
            input_tokens: tokens it read.
            output_tokens: tokens it wrote.
            caller: who called it.

        Raises:
            InvalidValue: a count is no whole number or out of range, or the caller unknown.
            UnserialisablePayload: the model's name is no text.
            AttemptFenced: the attempt is over.

        """
        for tokens in (input_tokens, output_tokens):
            if not _is_count(tokens):
                remedy = f"give a whole number from 0 to {MOST_TOKENS:,}"
                raise InvalidValue("tokens", tokens, remedy)
        if caller not in CALLERS:
            raise InvalidValue("caller", caller, f"choose one of {', '.join(CALLERS)}")
        name = plain(str(model), "model")
        self._record("usage", [name, input_tokens, output_tokens, caller])

    def set_title(self, title: str) -> None:
        """Name the run.

        Raises:
            UnserialisablePayload: it is no text.
            AttemptFenced: the attempt is over.

        """
        self._record("title", plain(str(title), "title"))

    def _record(self, kind: str, data: JSON) -> None:
        self._check_open()
        self._actor.tell(Record(self.attempt, kind, data))

    def _check_open(self) -> None:
        if self._gate.closed:
            raise AttemptFenced(self._request.run_id)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


RESERVED = frozenset({"metadata", "end", "error", "gap", "heartbeat"})
"""Frames that callboard itself publishes."""
