"""What a caller asks for, as plain data that may cross machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf, isfinite
from typing import Literal, TypeAlias, TypeVar

from .enums import CancelAction, DisconnectMode, MultitaskStrategy, RunScope
from .errors import InvalidIdentifier, InvalidValue, UnsupportedStrategyError
from .identifiers import AssistantId, RunId, ThreadId, UserId
from .payload import JSON, plain
from .records import quick

NodeNames: TypeAlias = tuple[str, ...] | Literal["*"]
"""Nodes of a graph by name, or `"*"` for all of them."""

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

LONGEST = 1e10
"""Seconds, some 300 years: what lies further away may be in no calendar."""
LARGEST = 2**62
"""The largest count: the integers of a database hold it, and a page beyond it."""

NOW = "$"
"""Instead of a frame id: whatever frame is the last one now."""
_LONGEST_FRAME_ID = 18
"""Digits; more frames than that no run has."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRunCommand:
    """Start a run of `assistant_id` on `thread_id`.

    Idempotent by `run_id`, and by `idempotency_key` on its thread. Every payload is
    copied and travels with the run unchanged.

    Raises:
        InvalidIdentifier: an id is blank.
        UnsupportedStrategyError: `multitask_strategy` is unknown.
        InvalidValue: another argument cannot be used.
        UnserialisablePayload: a payload is not JSON.

    """

    run_id: RunId
    thread_id: ThreadId
    assistant_id: AssistantId
    input: JSON = None
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.REJECT
    user_id: UserId | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    config: Mapping[str, JSON] = field(default_factory=dict)
    context: Mapping[str, JSON] = field(default_factory=dict)
    command: JSON = None
    """For graphs: `resume`, `update`, `goto`."""
    stream_mode: tuple[str, ...] = ()
    """What a graph streams; empty means its default."""
    interrupt_before: NodeNames = ()
    interrupt_after: NodeNames = ()
    scope: RunScope = RunScope.STATEFUL
    on_disconnect: DisconnectMode = DisconnectMode.CONTINUE
    idempotency_key: str | None = None
    after_seconds: float = 0.0
    """Seconds to wait before it may start."""
    timeout: float | None = None
    """Seconds its agent may take, all attempts together; `None` is for ever."""
    resumable: bool = False
    """Keep its frames in the event log."""
    follow_up_to_run_id: RunId | None = None
    forget_on_rollback: bool = False
    """Leave no record of it when it was aborted with `rollback`."""
    host_data: Mapping[str, JSON] = field(default_factory=dict)
    """What the host keeps with the run for itself; agents do not see it."""

    def __post_init__(self) -> None:
        """Check and copy every argument; what has its default needs neither."""
        put = object.__setattr__
        put(self, "run_id", RunId(self.run_id))
        put(self, "thread_id", ThreadId(self.thread_id))
        put(self, "assistant_id", AssistantId(self.assistant_id))
        if self.user_id is not None:
            put(self, "user_id", UserId(self.user_id))
        if self.follow_up_to_run_id is not None:
            put(self, "follow_up_to_run_id", _followed(self.follow_up_to_run_id))
        if self.idempotency_key is not None:
            check_text(self.idempotency_key, "idempotency_key")
        _check_durations(self.after_seconds, self.timeout)
        check_flag(self.resumable, "resumable")
        check_flag(self.forget_on_rollback, "forget_on_rollback")
        self._read_choices()
        self._copy_payloads()

    def _read_choices(self) -> None:
        put = object.__setattr__
        if type(self.multitask_strategy) is not MultitaskStrategy:
            put(self, "multitask_strategy", _strategy(self.multitask_strategy))
        if type(self.scope) is not RunScope:
            put(self, "scope", choice(RunScope, self.scope, "scope"))
        if type(self.on_disconnect) is not DisconnectMode:
            put(self, "on_disconnect", choice(DisconnectMode, self.on_disconnect, "on_disconnect"))

    def _copy_payloads(self) -> None:
        put = object.__setattr__
        if self.input is not None:
            put(self, "input", plain(self.input, "input"))
        if self.command is not None:
            put(self, "command", plain(self.command, "command"))
        for name, value in (
            ("metadata", self.metadata),
            ("config", self.config),
            ("context", self.context),
            ("host_data", self.host_data),
        ):
            if type(value) is not dict or value:
                put(self, name, _object(value, name))
        if self.stream_mode != ():
            put(self, "stream_mode", _words(self.stream_mode, "stream_mode"))
        if self.interrupt_before != ():
            put(self, "interrupt_before", _nodes(self.interrupt_before, "interrupt_before"))
        if self.interrupt_after != ():
            put(self, "interrupt_after", _nodes(self.interrupt_after, "interrupt_after"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRunCommand:
    """Abort a run. A later `rollback` upgrades an unfinished `interrupt`, never down."""

    run_id: RunId
    action: CancelAction = CancelAction.INTERRUPT
    wait: bool = False
    """Answer when the agent has unwound and the end is stored, not at once."""
    user_id: UserId | None = None

    def __post_init__(self) -> None:
        """Check every argument."""
        put = object.__setattr__
        put(self, "run_id", RunId(self.run_id))
        put(self, "action", choice(CancelAction, self.action, "action"))
        check_flag(self.wait, "wait")
        if self.user_id is not None:
            put(self, "user_id", UserId(self.user_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRunStreamCommand:
    """Follow a run's frames, from the start or right after `last_event_id`."""

    run_id: RunId
    last_event_id: str | None = None
    """The last frame id that was seen; `None` or `"-1"` is before the first, `"$"` the last
    there is."""
    user_id: UserId | None = None

    def __post_init__(self) -> None:
        """Check every argument."""
        put = object.__setattr__
        put(self, "run_id", RunId(self.run_id))
        if self.last_event_id is not None:
            put(self, "last_event_id", str(self.last_event_id).strip())
        if self.user_id is not None:
            put(self, "user_id", UserId(self.user_id))
        self.after  # noqa: B018 - a property that checks

    @property
    def after(self) -> int:
        """The sequence number of the last frame seen; 0 is before the first."""
        if self.last_event_id in (None, "", "-1", NOW):
            return 0
        text = str(self.last_event_id)
        if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_FRAME_ID:
            raise InvalidValue("last_event_id", text, "give the id of a frame of this run")
        return int(text)


def choice(kind: type[E], value: object, field_name: str) -> E:
    """Read `value` as a member of `kind`.

    Raises:
        InvalidValue: it is none of the members.

    """
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        known = ", ".join(repr(str(member)) for member in kind)
        raise InvalidValue(field_name, value, f"choose one of {known}") from None


def choices(kind: type[E], values: Iterable[object], field_name: str) -> frozenset[E]:
    """Read each of `values` as a member of `kind`.

    Raises:
        InvalidValue: they are no sequence, or one of them is none of the members.

    """
    return frozenset(choice(kind, each, field_name) for each in check_many(values, field_name))


def check_many(values: Iterable[T], field_name: str) -> tuple[T, ...]:
    """Read `values` as a sequence. One text is none, though Python goes through its letters.

    Raises:
        InvalidValue: it is a text or a mapping, or cannot be gone through.

    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidValue(field_name, values, "give a list, also for a single one")
    return tuple(values)


def check_text(value: object, field_name: str) -> None:
    """Check that `value` is a text that is not blank.

    Raises:
        InvalidValue: it is something else.

    """
    if not _is_text(value):
        raise InvalidValue(field_name, value, "give a non-empty string")


def check_seconds(value: object, field_name: str) -> float:
    """Read `value` as a duration in seconds.

    Raises:
        InvalidValue: it is no number, negative, NaN, or longer than `LONGEST`.

    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(field_name, value, "give a number of seconds")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = inf
    if not isfinite(seconds) or seconds < 0:
        raise InvalidValue(field_name, value, "give a finite number of seconds, 0 or more")
    if seconds > LONGEST:
        raise InvalidValue(field_name, value, f"give at most {LONGEST:,.0f} seconds")
    return seconds


def check_flag(value: object, field_name: str) -> None:
    """Check that `value` is a truth value.

    Raises:
        InvalidValue: it is something else.

    """
    if value is not False and value is not True:
        raise InvalidValue(field_name, value, "give True or False")


def check_count(value: object, field_name: str, remedy: str = "count from 0 upwards") -> None:
    """Check that `value` is a whole number from 0 to `LARGEST`.

    Raises:
        InvalidValue: it is no integer, negative, or larger.

    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue(field_name, value, remedy)
    if value > LARGEST:
        raise InvalidValue(field_name, value, f"give at most {LARGEST:,}")


def _strategy(value: object) -> MultitaskStrategy:
    try:
        return MultitaskStrategy(value)  # type: ignore[arg-type]
    except ValueError:
        known = ", ".join(repr(str(member)) for member in MultitaskStrategy)
        raise UnsupportedStrategyError(
            "multitask_strategy", value, f"choose one of {known}"
        ) from None


def _followed(value: str) -> RunId:
    try:
        return RunId(value)
    except InvalidIdentifier as error:
        raise InvalidIdentifier("follow_up_to_run_id", value, error.fault) from None


def _check_durations(after_seconds: object, timeout: object) -> None:
    if after_seconds != 0.0 or type(after_seconds) is not float:
        check_seconds(after_seconds, "after_seconds")
    if timeout is not None and check_seconds(timeout, "timeout") == 0:
        raise InvalidValue("timeout", timeout, "give more than 0 seconds, or None for ever")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _object(value: object, name: str) -> dict[str, JSON]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidValue(name, value, "give a mapping with string keys")
    copied = plain(value, name) if value else {}
    return dict(copied)


def _words(value: object, name: str) -> tuple[str, ...]:
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, tuple | list) or not all(_is_text(word) for word in words):
        raise InvalidValue(name, value, "give a name or a list of names")
    return tuple(words)


def _nodes(value: object, name: str) -> NodeNames:
    return "*" if value == "*" else _words(value, name)
