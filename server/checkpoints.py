"""Which checkpoint a request names."""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.payload import JSON
from .errors import Invalid, Missing
from .graphs import Threads

_TEXTS = ("checkpoint_id", "checkpoint_ns")
_MAP = "checkpoint_map"


def address(
    document: Mapping[str, JSON] | None, checkpoint_id: str | None = None
) -> dict[str, JSON]:
    """What names a checkpoint on its thread: its id, its namespace and those around it.

    Args:
        document: a checkpoint as clients write it, with what else they write.
        checkpoint_id: its id, from those who give it apart.

    Raises:
        Invalid: a field of it cannot be used.

    """
    named: dict[str, JSON] = {}
    for name in (*_TEXTS, _MAP):
        value = (document or {}).get(name)
        if value is not None and not _fits(name, value):
            remedy = "give an object of strings" if name == _MAP else "give a string"
            raise Invalid(f"checkpoint.{name}", remedy)
        if value:
            named[name] = value
    if checkpoint_id is not None:
        named["checkpoint_id"] = checkpoint_id
    return named


def _fits(name: str, value: JSON) -> bool:
    if name != _MAP:
        return isinstance(value, str)
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


async def state_at(
    threads: Threads, thread_id: str, place: Mapping[str, JSON], *, subgraphs: bool = False
) -> dict[str, JSON]:
    """The state at a checkpoint.

    Raises:
        Missing: it is named by its id, and there is none with it.

    """
    state: dict[str, JSON] = await threads.state(thread_id, place, subgraphs=subgraphs)
    if "checkpoint_id" in place and state["created_at"] is None:
        raise Missing(f"Thread '{thread_id}' has no checkpoint '{place['checkpoint_id']}'.")
    return state
