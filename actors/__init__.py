"""Threads, runs, the supervisor above them, what drives agents, and the runtime in front."""

from .abort import AbortSignal
from .agents import Agent
from .blocking import BlockingRuntime
from .context import RunContext
from .executors import AttemptOutput, Executor
from .handles import Observation, RunStream
from .options import RunOptions
from .runtime import Runtime
from .wiring import Settings

__all__ = [
    "AbortSignal",
    "Agent",
    "AttemptOutput",
    "BlockingRuntime",
    "Executor",
    "Observation",
    "RunContext",
    "RunOptions",
    "RunStream",
    "Runtime",
    "Settings",
]
