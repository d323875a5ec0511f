"""An event loop whose time passes only when nothing else is left to do.

Hours of timeouts, delays and heartbeats take milliseconds, and always the same ones.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..kernel import Entropy, KernelOptions, LoopClock, SeededSchedule

T = TypeVar("T")

_PATIENCE = 10.0
"""Real seconds to wait for another OS thread before the test is called stuck."""


class Stuck(RuntimeError):
    """Every task waits for something that nothing is left to bring about."""


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait for a timer: jumps to it."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            ready = super().select(_PATIENCE)
            if not ready:
                raise Stuck("nothing is scheduled, and no OS thread has called for 10 s")
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop on virtual time, which begins at 0.

    I/O and other OS threads are real: what they bring is seen before time jumps, but
    time does not wait for them.
    """

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.jump = self._jump
        self._now = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def _jump(self, seconds: float) -> None:
        # A little more than asked for, so that rounding never leaves a timer not yet due.
        self._now += seconds + 1e-9


def run_virtual(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time, as `asyncio.run` does on real time.

    Raises:
        Stuck: the coroutine waits for something that cannot happen.

    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


def virtual_kernel(seed: int = 0, *, shuffled: bool = False) -> KernelOptions:
    """Kernel options on the running loop's time, with chance from a seed.

    Args:
        seed: the same seed gives the same ids, jitter and order.
        shuffled: let ready actors have their turns in an order drawn from the seed.

    """
    entropy = Entropy(seed)
    return KernelOptions(
        clock=LoopClock(asyncio.get_running_loop()),
        entropy=entropy,
        schedule=SeededSchedule(entropy) if shuffled else None,
    )
