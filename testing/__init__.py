"""For tests of agents, observers, stores and hosts: time, chance and faults at your command.

`run_virtual` and `virtual_kernel` run a real runtime on virtual time. `simulate` goes on
from there: a seed decides in which order everything happens and what goes wrong, and the
same seed brings it back. `World` simulates callboard itself, held against a model.
"""

from ..store import MemoryStore
from .agents import abort_everywhere
from .model import Model, Violation
from .reader import StreamReader
from .simulated import Disk, ProcessDied, SimulatedLoop, SimulatedStore, Trace, Turbulence
from .simulated.turbulence import KINDS as FAULTS
from .simulation import Simulation, simulate
from .virtual_time import Stuck, VirtualTimeLoop, run_virtual, virtual_kernel
from .world import Plan, Report, World, shrink

__all__ = [
    "FAULTS",
    "Disk",
    "MemoryStore",
    "Model",
    "Plan",
    "ProcessDied",
    "Report",
    "SimulatedLoop",
    "SimulatedStore",
    "Simulation",
    "StreamReader",
    "Stuck",
    "Trace",
    "Turbulence",
    "Violation",
    "VirtualTimeLoop",
    "World",
    "abort_everywhere",
    "run_virtual",
    "shrink",
    "simulate",
    "virtual_kernel",
]
