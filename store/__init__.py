"""Where runs and events outlive their actors: the ports, and the stores behind them."""

from .memory import MemoryStore
from .ports import (
    APPLIED,
    CheckpointStore,
    Entry,
    EventLog,
    NewEvent,
    Outcome,
    RunChange,
    RunCompletion,
    RunStore,
    Store,
    ThreadRecord,
    Verdict,
)

__all__ = [
    "APPLIED",
    "CheckpointStore",
    "Entry",
    "EventLog",
    "MemoryStore",
    "NewEvent",
    "Outcome",
    "RunChange",
    "RunCompletion",
    "RunStore",
    "Store",
    "ThreadRecord",
    "Verdict",
]
