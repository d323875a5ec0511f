"""The state of plain agents in memory."""

from __future__ import annotations

from ...domain.errors import Fenced
from ...domain.fence import Fence
from ...domain.payload import JSON, plain


class MemoryCheckpointStore:
    """Keeps, for each thread, what its last run saved and what was there before.

    Runs of a thread follow one another, so nothing older can ever be asked for.

    Args:
        epochs: the epoch of each slot.

    """

    def __init__(self, epochs: dict[int, int]) -> None:
        self._epochs = epochs
        self._saved: dict[str, list[tuple[str, JSON]]] = {}

    async def save(self, thread_id: str, run_id: str, state: JSON, fence: Fence) -> None:
        """Make `state` the thread's state, as written by `run_id`."""
        self._check(fence)
        saved = self._saved.setdefault(thread_id, [])
        if saved and saved[-1][0] == run_id:
            saved.pop()
        saved.append((run_id, plain(state, "state")))
        del saved[:-2]

    async def load(self, thread_id: str) -> JSON:
        """The thread's state, or `None`."""
        saved = self._saved.get(thread_id)
        return plain(saved[-1][1], "state") if saved else None

    async def drop(self, thread_id: str, run_id: str, fence: Fence) -> None:
        """Forget what `run_id` saved."""
        self._check(fence)
        saved = self._saved.get(thread_id, [])
        if saved and saved[-1][0] == run_id:
            saved.pop()
        if not saved:
            self._saved.pop(thread_id, None)

    def forget_thread(self, thread_id: str) -> None:
        """Forget everything of a thread."""
        self._saved.pop(thread_id, None)

    def _check(self, fence: Fence) -> None:
        if self._epochs.get(fence.slot) != fence.epoch:
            raise Fenced(f"Slot {fence.slot} has another owner: this runtime must end.")
