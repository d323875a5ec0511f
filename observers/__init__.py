"""Who watches the runs, and the actors that persist events and stream frames."""

from .bindings import (
    CallbackObserver,
    CompositeObserver,
    NullObserver,
    ObserverBinding,
    ensure_observer,
)
from .frames import Evicted, FrameBuffer, FrameWriter, Publish
from .journal import JournalActor
from .journal_messages import (
    Append,
    Barrier,
    Committed,
    NotCommitted,
    OwnershipLost,
    StoreTrouble,
    Write,
)
from .metrics import Durations, MetricsObserver, RunStatistics
from .observer_actor import (
    CaughtUp,
    Cursor,
    DescribeObserver,
    Observed,
    ObserverActor,
    ObserverFailed,
    ObserverGone,
    RequiredObserverActor,
    ToldUpTo,
)
from .protocol import LifecycleEventType, RunLifecycleEvent, RunObserver
from .stream import StreamActor
from .stream_messages import (
    Attach,
    Cleanup,
    ConsumersLeft,
    CountStreams,
    Detach,
    EndStream,
    LatestFrame,
    OpenStream,
    Read,
    Seal,
    Sealed,
    Sync,
)
from .structured_log import StructlogObserver

__all__ = [
    "Append",
    "Attach",
    "Barrier",
    "CallbackObserver",
    "CaughtUp",
    "Cleanup",
    "Committed",
    "CompositeObserver",
    "ConsumersLeft",
    "CountStreams",
    "Cursor",
    "DescribeObserver",
    "Detach",
    "Durations",
    "EndStream",
    "Evicted",
    "LatestFrame",
    "FrameBuffer",
    "FrameWriter",
    "JournalActor",
    "LifecycleEventType",
    "MetricsObserver",
    "NotCommitted",
    "OwnershipLost",
    "NullObserver",
    "Observed",
    "ObserverGone",
    "ObserverActor",
    "ObserverBinding",
    "ObserverFailed",
    "OpenStream",
    "Publish",
    "Read",
    "RequiredObserverActor",
    "RunLifecycleEvent",
    "RunObserver",
    "RunStatistics",
    "Seal",
    "Sealed",
    "StoreTrouble",
    "StreamActor",
    "StructlogObserver",
    "Sync",
    "ToldUpTo",
    "ensure_observer",
    "Write",
]
