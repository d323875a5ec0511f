"""The schemas of what is answered."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53}
LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
OBJECT: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
PLAIN: Schema = {"x-media-type": "text/plain", "type": "string"}
HTML: Schema = {"x-media-type": "text/html", "type": "string"}


def REF(name: str) -> Schema:  # noqa: N802 - it stands among the constants
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def ARRAY_OF(name: str) -> Schema:  # noqa: N802 - it stands among the constants
    """A list of what has that name."""
    return {"type": "array", "items": REF(name)}


def one_of_words(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


EVENTS: Schema = {
    "x-media-type": "text/event-stream",
    **_object({"event": TEXT, "data": TEXT}, {"id": TEXT}),
}
"""Of each event of a stream."""

_CHECKPOINT = _object(
    {"thread_id": TEXT, "checkpoint_ns": TEXT, "checkpoint_id": _nullable(TEXT)},
    {"checkpoint_map": OBJECT},
)
_STATE: Schema = {
    "values": {},
    "next": {"type": "array", "items": TEXT},
    "tasks": {"type": "array", "items": OBJECT},
    "metadata": OBJECT,
    "created_at": _nullable(TEXT),
    "checkpoint": _nullable(REF("Checkpoint")),
    "parent_checkpoint": _nullable(REF("Checkpoint")),
    "interrupts": {"type": "array", "items": OBJECT},
    "checkpoint_id": _nullable(TEXT),
    "parent_checkpoint_id": _nullable(TEXT),
}

ANSWERS: dict[str, Schema] = {
    "Error": _object({"detail": TEXT}),
    "Checkpoint": _CHECKPOINT,
    "Run": _object(
        {
            "run_id": UUID,
            "thread_id": UUID,
            "assistant_id": UUID,
            "created_at": TIME,
            "updated_at": TIME,
            "status": one_of_words(
                "pending", "running", "success", "error", "timeout", "interrupted"
            ),
            "metadata": OBJECT,
            "kwargs": OBJECT,
            "multitask_strategy": one_of_words("reject", "rollback", "interrupt", "enqueue"),
        },
        {"cancel_reason": _nullable(TEXT)},
    ),
    "Thread": _object(
        {
            "thread_id": UUID,
            "created_at": TIME,
            "updated_at": TIME,
            "metadata": OBJECT,
            "status": one_of_words("idle", "busy", "interrupted", "error"),
            "values": {},
            "interrupts": OBJECT,
        },
        {
            "state_updated_at": TIME,
            "config": OBJECT,
            "context": OBJECT,
            "error": _nullable(OBJECT),
            "extracted": OBJECT,
        },
    ),
    "ThreadState": _object(_STATE),
    "Assistant": _object(
        {
            "assistant_id": UUID,
            "graph_id": TEXT,
            "config": OBJECT,
            "context": OBJECT,
            "created_at": TIME,
            "updated_at": TIME,
            "metadata": OBJECT,
            "version": COUNT,
            "name": TEXT,
            "description": _nullable(TEXT),
        }
    ),
}
"""By name. Lists and objects of users' payloads are not described further."""


def field_of(name: str) -> Schema:
    """The name of a field of what has that name."""
    return one_of_words(*(field for field in ANSWERS[name]["properties"] if field != "extracted"))


def fields_of(name: str) -> Schema:
    """A list of names of fields."""
    return {"type": "array", "items": field_of(name)}


def part_of(name: str) -> Schema:
    """What has that name, or of its fields those that were selected."""
    part = {key: value for key, value in ANSWERS[name].items() if key != "required"}
    return {"anyOf": [REF(name), part]}


def parts_of(name: str) -> Schema:
    """A list of that."""
    return {"type": "array", "items": part_of(name)}
