"""What can be wrong with a store, in the hierarchy of `errors`."""

from __future__ import annotations

from .errors import Conflict, Unavailable


class StoreUnavailable(Unavailable):
    """The store did not take a write.

    Args:
        what: what was being written.
        cause: the store's own error, as text.

    """

    def __init__(self, what: str, cause: str) -> None:
        super().__init__(what, cause)
        self.what, self.cause = what, cause

    def _message(self) -> str:
        return (
            f"The store did not take {self.what} ({self.cause}); nothing was started: "
            "try again with the same run_id or idempotency_key."
        )


class OutcomeUnknown(StoreUnavailable):
    """The store's answer to a write was lost: it may have been written or not.

    Args:
        what: what was being written.
        cause: the store's own error, as text.

    """

    def _message(self) -> str:
        return (
            f"It is not known whether the store took {self.what} ({self.cause}): "
            "ask again with the same run_id or idempotency_key."
        )


class SlotNotOwned(Unavailable):
    """The thread belongs to another process that shares the store.

    Args:
        thread_id: the thread.
        slot: the slot it is in.

    """

    def __init__(self, thread_id: str, slot: int) -> None:
        super().__init__(thread_id, slot)
        self.thread_id, self.slot = thread_id, slot

    def _message(self) -> str:
        return (
            f"Thread '{self.thread_id}' is in slot {self.slot}, which this runtime does not "
            "own: ask the process that does."
        )


class StoreUnusable(Conflict):
    """A store cannot be opened as it is. Nothing was changed.

    Args:
        store: which one.
        fault: what is the case.
        remedy: what to do, in the imperative.

    """

    def __init__(self, store: str, fault: str, remedy: str) -> None:
        super().__init__(store, fault, remedy)
        self.store, self.fault, self.remedy = store, fault, remedy

    def _message(self) -> str:
        return f"Cannot use the store {self.store}: {self.fault}. {self.remedy}."


class StoreOwned(StoreUnusable):
    """Another living process owns it."""


class StoreCorrupt(StoreUnusable):
    """It is no database, or a damaged one. The file is left as it is."""


class StoreReadOnly(StoreUnusable):
    """It cannot be written."""


class StoreTooNew(StoreUnusable):
    """Its schema is newer than this version of callboard knows."""


class StoreOutdated(StoreUnusable):
    """Its schema is older, and what would upgrade it is not installed."""


class StoreRegressed(StoreUnusable):
    """It lacks what it has acknowledged before: a file was lost, or replaced by an older one."""
