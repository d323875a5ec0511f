"""The state of plain agents in memory."""

from __future__ import annotations

from ...domain.payload import JSON, plain
from ..entries import DropState, SaveState


class MemoryCheckpointStore:
    """Keeps, for each thread, what its last run saved and what was there before.

    Runs of a thread follow one another, so nothing older can ever be asked for.
    """

    def __init__(self) -> None:
        self._saved: dict[str, list[tuple[str, JSON]]] = {}

    async def load(self, thread_id: str) -> JSON:
        """The thread's state, or `None`."""
        saved = self._saved.get(thread_id)
        return plain(saved[-1][1], "state") if saved else None

    def has(self, thread_id: str) -> bool:
        """Whether there is a state of a thread."""
        return thread_id in self._saved

    def write(self, checkpoint: SaveState | DropState) -> None:
        """Save a state, or drop one."""
        thread_id, run_id = checkpoint[:2]
        saved = self._saved.setdefault(thread_id, [])
        if saved and saved[-1][0] == run_id:
            saved.pop()
        if isinstance(checkpoint, SaveState):
            saved.append((run_id, plain(checkpoint.state, "state")))
            del saved[:-2]
        elif not saved:
            del self._saved[thread_id]

    def forget_thread(self, thread_id: str) -> None:
        """Forget everything of a thread."""
        self._saved.pop(thread_id, None)
