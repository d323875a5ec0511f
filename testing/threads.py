"""What is promised of threads as such: what is deleted is gone, and what is recorded stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from .life import Life

Version = dict[str, Any] | None
"""The metadata of a thread's own record; `None` while it has none."""


class Threads:
    """Holds what callers do to whole threads against what becomes durable.

    Args:
        check: holds something against a rule; see `Model.check`.
        now: seconds.

    """

    def __init__(self, check: Callable[..., None], now: Callable[[], float]) -> None:
        self._check, self._now = check, now
        self.deleting: set[str] = set()
        """Threads that somebody wants deleted, and does not know to be."""
        self._askers: defaultdict[str, set[object]] = defaultdict(set)
        self._told_at: dict[str, float] = {}
        """When somebody was told last that a thread is deleted, or is not there."""
        self._versions: defaultdict[str, list[Version]] = defaultdict(lambda: [None])
        self.changing: set[str] = set()
        """Threads to which something is done while they are idle."""

    # What is durable.

    def recorded(self, thread_id: str, metadata: dict[str, Any], *, anew: bool) -> None:
        """A thread's own record is made, or some keys of its metadata are set."""
        latest = self._versions[thread_id][-1]
        self._check("recorded once", latest is None or not anew, thread_id, metadata, latest)
        self._versions[thread_id].append({**(latest or {}), **metadata})

    def erased(self, thread_id: str, *, asked: bool) -> None:
        """All of a thread is deleted. `asked`: its runs want it so, which only they are told of."""
        versions = self._versions[thread_id]
        asked = asked and versions[-1] is None
        self._check("erased for a reason", asked or thread_id in self.deleting, thread_id)
        versions.append(None)

    # What is done to it while it is idle.

    @contextmanager
    def change(self, thread_id: str, runs: Iterable[Life]) -> Iterator[None]:
        """Something is done to a thread that has these runs."""
        busy = [run for run in runs if run.executing]
        self._check("changes are alone", not busy, thread_id, busy)
        self._check("changes are alone", thread_id not in self.changing, thread_id, "twice")
        self.changing.add(thread_id)
        try:
            yield
        finally:
            self.changing.discard(thread_id)

    # What callers do and are answered.

    def deletes(self, thread_id: str, who: object) -> None:
        """A caller wants it deleted."""
        self._askers[thread_id].add(who)
        self.deleting.add(thread_id)

    def told(self, thread_id: str, who: object) -> None:
        """That caller was told that it is deleted, or is not there."""
        self._askers[thread_id].discard(who)
        self._told_at[thread_id] = self._now()
        if not self._askers[thread_id]:
            self.deleting.discard(thread_id)

    def missed(self, thread_id: str, since: float, who: object = None) -> None:
        """A caller, who asked at `since`, was told that there is no such thread."""
        others = self._askers[thread_id] - {who}
        late = self._told_at.get(thread_id, -inf) >= since
        self._check("a thread is missed for a reason", others or late, thread_id, since)

    def version(self, thread_id: str) -> int:
        """A number for its record as it is now."""
        return len(self._versions[thread_id]) - 1

    def is_there(self, thread_id: str) -> bool:
        """Whether it has a record of its own."""
        return self._versions[thread_id][-1] is not None

    def absent(self, thread_id: str, since: int) -> None:
        """A caller was told that it has no record, and asked when that was `since`."""
        there = None not in self._versions[thread_id][since:]
        self._check("a record is missed for a reason", not there, thread_id)

    def looked(self, thread_id: str, metadata: Version, since: int) -> None:
        """A caller was told of this metadata."""
        versions = self._versions[thread_id][since:]
        known = metadata in versions or (metadata == {} and None in versions)
        self._check("metadata survives", known, thread_id, metadata, "among", versions)

    def acknowledged(self, thread_id: str, metadata: dict[str, Any], since: int) -> None:
        """A caller was told that this is recorded."""
        stored = any(
            version is not None and metadata.items() <= version.items()
            for version in self._versions[thread_id][since:]
        )
        self._check("acknowledged is durable", stored, thread_id, metadata)

    def exists(self, thread_id: str, own: dict[str, Any], since: int, *, inhabited: bool) -> None:
        """A caller, who wanted to make it, was told that it exists. `inhabited`: it has runs."""
        first, *later = self._versions[thread_id][since:]
        foreign = any(version not in (None, own) for version in (first, *later))
        real = inhabited or foreign or None in later
        self._check("nobody meets what he made himself", real, thread_id, own)
