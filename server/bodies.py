"""The bodies of requests, field by field as clients send them. Unknown fields are passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from .schemas import field_of

Document = dict[str, Any]
Mode = Literal[
    "values",
    "messages",
    "messages-tuple",
    "updates",
    "custom",
    "events",
    "debug",
    "tasks",
    "checkpoints",
]
Whole = BeforeValidator(lambda value: int(value) if _is_whole(value) else value)
"""JSON has one kind of number: 10.0 is as whole as 10."""
Limit = Annotated[int, Field(ge=1, le=1000), Whole]
Offset = Annotated[int, Field(ge=0, le=2**53), Whole]
Order = Literal["asc", "desc"] | None
Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Name = Annotated[str, Field(json_schema_extra={"pattern": r"\S"})]
ThreadField = Annotated[str, WithJsonSchema(field_of("Thread"))]
StateField = Annotated[str, WithJsonSchema(field_of("ThreadState"))]
AssistantField = Annotated[str, WithJsonSchema(field_of("Assistant"))]
Unoffered = Annotated[Any, WithJsonSchema({"type": "null"})]
"""What the platform takes, and this server refuses where it is more than nothing."""
_NODE = {"type": "string", "minLength": 1}
_SEND = {
    "type": "object",
    "required": ["node", "input"],
    "properties": {"node": {"type": "string"}, "input": {}},
}
_TARGETS = [_NODE, _SEND, {"type": "array", "items": {"anyOf": [_NODE, _SEND]}}, {"type": "null"}]
Goto = Annotated[
    Any,
    AfterValidator(lambda value: _only(value, _are_targets, "a node's name, or node and input")),
    WithJsonSchema({"anyOf": _TARGETS}),
]
"""The names of nodes, and nodes with what they are given."""
_PAIR = {
    "type": "array",
    "prefixItems": [{"type": "string"}, {}],
    "minItems": 2,
    "maxItems": 2,
}
_WRITES = [{"type": "object"}, {"type": "array", "items": _PAIR}, {"type": "null"}]
Writes = Annotated[
    Any,
    AfterValidator(lambda value: _only(value, _are_writes, "an object, or a list of pairs")),
    WithJsonSchema({"anyOf": _WRITES}),
]
"""Values of channels, by their names or as pairs of both."""

_NOT: dict[str, Any] = {"type": "null"}
_OF_A_THREAD: dict[str, Any] = {
    "required": ["thread_id"],
    "properties": {"thread_id": {"type": "string"}, "status": _NOT},
}
_WITH_A_STATUS: dict[str, Any] = {
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "thread_id": _NOT, "run_ids": _NOT},
}


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _only(value: Any, fits: Callable[[Any], bool], what: str) -> Any:
    if value is None or fits(value):
        return value
    raise PydanticCustomError("none", "give {what}", {"what": what})


def _are_targets(value: Any) -> bool:
    return all(map(_is_target, value)) if isinstance(value, list) else _is_target(value)


def _is_target(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("node"), str) and "input" in value
    return isinstance(value, str) and value != ""


def _are_writes(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and all(map(_is_pair, value)))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class CommandBody(Body):
    """What a graph is told instead of an input."""

    resume: Any = None
    update: Writes = None
    goto: Goto = None


class RunBody(Body):
    """Create a run."""

    assistant_id: str
    input: Any = None
    command: CommandBody | None = None
    config: Document | None = None
    context: Document | None = None
    metadata: Document | None = None
    multitask_strategy: Literal["reject", "interrupt", "rollback", "enqueue"] | None = None
    if_not_exists: Literal["create", "reject"] | None = None
    on_disconnect: Literal["cancel", "continue"] | None = None
    on_completion: Literal["delete", "keep"] | None = None
    after_seconds: Annotated[float, Field(le=10**9)] | None = None
    stream_mode: Mode | list[Mode] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    webhook: str | None = None
    checkpoint: Document | None = None
    checkpoint_id: str | None = None
    checkpoint_during: bool | None = None
    interrupt_before: Literal["*"] | list[Name] | None = None
    interrupt_after: Literal["*"] | list[Name] | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    feedback_keys: list[str] | None = None


class BatchRunBody(RunBody):
    """Create one run of several."""

    thread_id: Id | None = None


class CancelManyBody(Body):
    """Abort several runs: some of a thread, or all with a status."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_OF_A_THREAD, _WITH_A_STATUS]})

    thread_id: Id | None = None
    run_ids: list[Id] | None = None
    status: Literal["pending", "running", "all"] | None = None


class UpdateBody(Body):
    """One update of a superstep."""

    values: Any = None
    command: CommandBody | None = None
    as_node: str | None = None


class SuperstepBody(Body):
    """Updates that are applied together."""

    updates: list[UpdateBody]


class ThreadBody(Body):
    """Create a thread."""

    thread_id: Id | None = None
    metadata: Document | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    supersteps: list[SuperstepBody] | None = None
    ttl: Unoffered = None


class ThreadPatchBody(Body):
    """Change a thread's metadata."""

    metadata: Document | None = None
    ttl: Unoffered = None


class ThreadCriteria(Body):
    """Which threads."""

    metadata: Document | None = None
    values: Document | None = None
    status: Literal["idle", "busy", "interrupted", "error"] | None = None


class ThreadSearchBody(ThreadCriteria):
    """A page of threads."""

    ids: list[Id] | None = None
    limit: Limit = 10
    offset: Offset = 0
    sort_by: (
        Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None
    ) = None
    sort_order: Order = None
    select: list[ThreadField] | None = None
    extract: dict[str, str] | None = None


class PruneBody(Body):
    """Delete threads."""

    thread_ids: list[Id]
    strategy: Literal["delete"] = "delete"


class StateBody(Body):
    """Read the state at a checkpoint."""

    checkpoint: Document
    subgraphs: bool = False
    select: list[StateField] | None = None


class StateUpdateBody(Body):
    """Change a thread's state."""

    values: Any = None
    as_node: str | None = None
    checkpoint: Document | None = None
    checkpoint_id: str | None = None


class HistoryBody(Body):
    """A page of a thread's states."""

    limit: Limit = 10
    before: str | Document | None = None
    metadata: Document | None = None
    checkpoint: Document | None = None
    select: list[StateField] | None = None


class AssistantCriteria(Body):
    """Which assistants."""

    metadata: Document | None = None
    graph_id: str | None = None
    name: str | None = None


class AssistantSearchBody(AssistantCriteria):
    """A page of assistants."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] | None = None
    sort_order: Order = None
    select: list[AssistantField] | None = None
