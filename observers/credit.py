"""How much may be on its way to the store."""

from __future__ import annotations


class Credit:
    """A window of frames and bytes that are not stored yet. Full, it slows who writes more.

    Args:
        frames: how many may be on their way.
        size: how many bytes they may have, about.

    """

    __slots__ = ("_frames", "_most_frames", "_most_size", "_size")

    def __init__(self, frames: int, size: int) -> None:
        self._most_frames = frames
        self._most_size = size
        self._frames = 0
        self._size = 0

    @property
    def used_up(self) -> bool:
        """Whether nothing more should be sent for now."""
        return self._frames >= self._most_frames or self._size >= self._most_size

    def take(self, frames: int, size: int) -> None:
        """So much is on its way."""
        self._frames += frames
        self._size += size

    def give_back(self, frames: int, size: int) -> None:
        """So much has arrived."""
        self._frames -= frames
        self._size -= size
