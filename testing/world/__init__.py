"""A whole runtime with its callers, agents, readers and misfortunes, in one seed."""

from .plan import Plan
from .report import Report
from .shrinking import shrink
from .world import World

__all__ = ["Plan", "Report", "World", "shrink"]
