"""Where runs and events outlive their actors: the ports, and the stores behind them."""

from .entries import (
    APPLIED,
    Entry,
    NewEvent,
    Outcome,
    Overtaking,
    PatchThread,
    Pruned,
    PutThread,
    RunChange,
    RunCompletion,
    ThreadRecord,
    Unfinished,
    Verdict,
)
from .memory import MemoryStore
from .ports import CheckpointStore, EventLog, RunStore, Store, ThreadStore

__all__ = [
    "APPLIED",
    "CheckpointStore",
    "Entry",
    "EventLog",
    "MemoryStore",
    "NewEvent",
    "Outcome",
    "Overtaking",
    "PatchThread",
    "Pruned",
    "PutThread",
    "RunChange",
    "RunCompletion",
    "RunStore",
    "Store",
    "ThreadRecord",
    "ThreadStore",
    "Unfinished",
    "Verdict",
]
