"""A world so small that everything that can happen in it can be tried.

One thread, two or three commands, and no faults but the death of the process. What comes
from outside of the runtime - a command, an answer of the store, an agent's progress - comes
when it is decided that it does.
"""

from .execution import Arrivals, Decisions, Execution, SmallWorld

__all__ = ["Arrivals", "Decisions", "Execution", "SmallWorld"]
