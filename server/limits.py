"""How much a client may ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..domain.commands import check_count, check_seconds
from ..domain.errors import InvalidValue
from .errors import TooMany


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused with 413 or 429. How many runs may wait on a thread, the runtime says.

    Args:
        body_bytes: of one request.
        connections: that one client may hold open: streams and waits. A client is a user, or
            an address where nobody is authenticated.
        retry_after: seconds after which a refused client is told to try again.

    Raises:
        InvalidValue: a number cannot be used.

    """

    body_bytes: int = 16 * 1024 * 1024
    connections: int = 1000
    retry_after: float = 1.0

    def __post_init__(self) -> None:
        """Check every number."""
        for name in ("body_bytes", "connections"):
            check_count(getattr(self, name), name)
            if getattr(self, name) == 0:
                raise InvalidValue(name, 0, "give 1 or more")
        check_seconds(self.retry_after, "retry_after")


class Connections:
    """Counts the connections that clients hold open.

    Args:
        limits: how many each may have.

    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._open.total()

    @contextmanager
    def hold(self, client: str) -> Iterator[None]:
        """Count one more, while it is open.

        Raises:
            TooMany: the client has as many as it may.

        """
        if self._open[client] >= self._limits.connections:
            raise TooMany(
                f"{self._limits.connections} connections are open: close some first",
                self._limits.retry_after,
            )
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]
