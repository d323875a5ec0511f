"""For tests of agents, observers and stores: virtual time and seeded schedules."""

from ..store import MemoryStore
from .virtual_time import Stuck, VirtualTimeLoop, run_virtual, virtual_kernel

__all__ = ["MemoryStore", "Stuck", "VirtualTimeLoop", "run_virtual", "virtual_kernel"]
