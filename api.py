"""An actor-model runtime for agent runs: one actor per thread, one per run, one supervisor.

This file is installed as `callboard/__init__.py`. It only re-exports, and it alone imports
by absolute names: here, beside the folders, it is not yet their parent.
"""

from callboard.actors.agents import Agent
from callboard.actors.context import RunContext
from callboard.actors.runtime import Runtime
