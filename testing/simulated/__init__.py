"""A machine in which chance decides everything, and a seed decides chance.

Its event loop has no I/O and no OS threads, its time is virtual, its store fails as real
ones do, and its kernel notes who says what to whom.
"""

from .choices import Choices, Picker
from .kernel import SimulatedKernel
from .loop import ProcessDied, SimulatedLoop, no_os_thread
from .store import Disk, SimulatedStore
from .trace import Trace
from .turbulence import InjectedFault, Turbulence

__all__ = [
    "Choices",
    "Disk",
    "InjectedFault",
    "Picker",
    "ProcessDied",
    "SimulatedKernel",
    "SimulatedLoop",
    "SimulatedStore",
    "Trace",
    "Turbulence",
    "no_os_thread",
]
