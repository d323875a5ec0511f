"""What a caller wants to read, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .commands import check_count, check_flag, check_many, choice
from .enums import RunStatus, ThreadOrder, ThreadStatus
from .errors import InvalidValue
from .identifiers import RunId, ThreadId, UserId
from .payload import JSON, plain

MAX_PAGE = 1000
"""The largest page a query may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRunQuery:
    """One run; with `thread_id`, only if it is on that thread."""

    run_id: RunId
    thread_id: ThreadId | None = None
    user_id: UserId | None = None

    def __post_init__(self) -> None:
        """Check every argument."""
        object.__setattr__(self, "run_id", RunId(self.run_id))
        if self.thread_id is not None:
            object.__setattr__(self, "thread_id", ThreadId(self.thread_id))
        _own_user(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRunsQuery:
    """The runs of a thread, newest first."""

    thread_id: ThreadId
    user_id: UserId | None = None
    limit: int = 100
    offset: int = 0
    status: RunStatus | None = None

    def __post_init__(self) -> None:
        """Check every argument."""
        object.__setattr__(self, "thread_id", ThreadId(self.thread_id))
        if self.status is not None:
            object.__setattr__(self, "status", choice(RunStatus, self.status, "status"))
        _own_user(self)
        check_page(self.limit)
        check_count(self.offset, "offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRunMessagesQuery:
    """A page of a thread's messages, oldest first within the page.

    Without a bound it is the newest page; `before_seq` pages back, `after_seq` forward,
    both exclusive.
    """

    thread_id: ThreadId
    run_id: RunId | None = None
    user_id: UserId | None = None
    limit: int = 50
    before_seq: int | None = None
    after_seq: int | None = None

    def __post_init__(self) -> None:
        """Check every argument."""
        object.__setattr__(self, "thread_id", ThreadId(self.thread_id))
        if self.run_id is not None:
            object.__setattr__(self, "run_id", RunId(self.run_id))
        _own_user(self)
        check_page(self.limit)
        for name in ("before_seq", "after_seq"):
            value = getattr(self, name)
            if value is not None:
                check_count(value, name, "give a seq, 0 or more")
        if self.before_seq is not None and self.after_seq is not None:
            raise InvalidValue(
                "after_seq", self.after_seq, "give before_seq or after_seq, not both"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchThreadsQuery:
    """Threads that all the criteria name; those of the same rank by their ids."""

    user_id: UserId | None = None
    thread_ids: tuple[ThreadId, ...] | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    """What a thread's metadata must contain: in objects key by key, in lists item by item."""
    status: ThreadStatus | None = None
    limit: int = 10
    offset: int = 0
    sort_by: ThreadOrder = ThreadOrder.UPDATED_AT
    descending: bool = True

    def __post_init__(self) -> None:
        """Check every argument."""
        put = object.__setattr__
        if self.thread_ids is not None:
            named = check_many(self.thread_ids, "thread_ids")
            put(self, "thread_ids", tuple(map(ThreadId, named)))
        if self.status is not None:
            put(self, "status", choice(ThreadStatus, self.status, "status"))
        if not isinstance(self.metadata, Mapping):
            raise InvalidValue("metadata", self.metadata, "give an object")
        put(self, "metadata", plain(self.metadata, "metadata"))
        put(self, "sort_by", choice(ThreadOrder, self.sort_by, "sort_by"))
        _own_user(self)
        check_flag(self.descending, "descending")
        check_page(self.limit)
        check_count(self.offset, "offset")


def contains(whole: JSON, part: JSON) -> bool:
    """Whether a payload contains another: what it has, the whole has too."""
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            key in whole and contains(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and all(
            any(contains(item, wanted) for item in whole) for wanted in part
        )
    return type(whole) is type(part) and bool(whole == part)


def check_page(limit: int) -> None:
    """Check the size of a page.

    Raises:
        InvalidValue: `limit` is no integer between 1 and `MAX_PAGE`.

    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise InvalidValue("limit", limit, f"give a number from 1 to {MAX_PAGE}")


def _own_user(
    query: GetRunQuery | ListRunsQuery | ListRunMessagesQuery | SearchThreadsQuery,
) -> None:
    if query.user_id is not None:
        object.__setattr__(query, "user_id", UserId(query.user_id))
