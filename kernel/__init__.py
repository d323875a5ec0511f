"""Pykka actors on an event loop: mailboxes, futures, timers, supervision hooks.

Both `observers` and `actors` stand on this folder; it knows nothing of runs.
"""

from .actor import LoopActor, handles
from .ambient import current_kernel
from .cancellation import is_being_cancelled
from .clock import Clock, Entropy, LoopClock, WallClock
from .dead_letters import DeadLetter, DeadLetters
from .future import LoopFuture
from .kernel import Kernel
from .messages import Crashed, Terminated
from .options import KernelOptions
from .ref import LoopRef
from .schedule import Schedule, SeededSchedule

__all__ = [
    "Clock",
    "Crashed",
    "DeadLetter",
    "DeadLetters",
    "Entropy",
    "Kernel",
    "KernelOptions",
    "LoopActor",
    "LoopClock",
    "LoopFuture",
    "LoopRef",
    "Schedule",
    "SeededSchedule",
    "Terminated",
    "WallClock",
    "current_kernel",
    "handles",
    "is_being_cancelled",
]
