"""The tables, for SQLite and PostgreSQL alike.

Numbers stand for names wherever an index would repeat them: a live thread dirties one page
of each index with every group, so there are few indexes and their keys are short.
"""

from __future__ import annotations

from collections.abc import Iterable
from json import loads
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.types import TypeEngine

from ...domain.enums import IN_FLIGHT, TERMINAL, EventCategory, RunStatus

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_Number = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database gives: SQLite does so for `INTEGER PRIMARY KEY` alone."""


class Payload(TypeDecorator[Any]):
    """JSON as text that keeps every digit. `NULL` is `None`.

    PostgreSQL's `json`, not `jsonb`, which takes no NUL in strings; and not SQLite's `JSON`,
    whose numeric affinity rounds long numbers. Values are bound as text: see `packed`.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """`json` where there is such a type."""
        kind = JSON() if dialect.name == "postgresql" else Text()
        return dialect.type_descriptor(kind)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The payload, unless the driver has read it already."""
        return loads(value) if dialect.name == "sqlite" and value is not None else value


def _one_of(column: str, words: type[RunStatus | EventCategory]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


_LIVE = text(f"status IN ({', '.join(sorted(repr(str(status)) for status in IN_FLIGHT))})")

state = Table(
    "store_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("seq_floor", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""One row. `epoch`: the last that was given. `position`: likewise. `seq_floor`: threads
that are new count from there, so that one that comes back goes on above what was seen."""

owners = Table(
    "owners",
    metadata,
    Column("owner", BigInteger, primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("lease_until", Float(53)),
)
"""The stores that are open, one row each. `lease_until`: seconds on the database's clock."""

slots = Table(
    "slots",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", BigInteger, ForeignKey("owners.owner")),
)
"""Who may write the threads of a slot."""

threads = Table(
    "threads",
    metadata,
    Column("thread_no", _Number, primary_key=True),
    Column("thread_id", Text, nullable=False, unique=True),
    Column("user_id", Text),
    Column("owned", Integer, nullable=False),
    Column("seq_floor", BigInteger, nullable=False),
)
"""`user_id` is that of the first run, once `owned`. `seq_floor`: events count from there."""

thread_records = Table(
    "thread_records",
    metadata,
    Column("thread_no", BigInteger, ForeignKey("threads.thread_no"), primary_key=True),
    Column("metadata", Payload, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
"""What is recorded of a thread itself. A table of its own: most hosts create runs alone."""

runs = Table(
    "runs",
    metadata,
    Column("run_no", _Number, primary_key=True),
    Column("run_id", Text, nullable=False, unique=True),
    Column("thread_no", BigInteger, ForeignKey("threads.thread_no"), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("status", Text),
    Column("user_id", Text),
    Column("idempotency_key", Text),
    Column("request", Payload),
    Column("created_at", BigInteger),
    Column("updated_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("attempt", BigInteger),
    Column("action", Text),
    Column("stop_reason", Text),
    Column("error", Text),
    Column("output", Payload),
    Column("completion_data", Payload),
    Column("title", Text),
    Column("model_name", Text),
    Column("total_input_tokens", BigInteger),
    Column("total_output_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("llm_call_count", BigInteger),
    Column("lead_agent_tokens", BigInteger),
    Column("subagent_tokens", BigInteger),
    Column("middleware_tokens", BigInteger),
    Column("message_count", BigInteger),
    Column("tokens_by_model", Payload),
    Column("first_human_message", Text),
    Column("last_ai_message", Text),
    UniqueConstraint("thread_no", "idempotency_key"),
    CheckConstraint(_one_of("status", RunStatus), name="status"),
    CheckConstraint("status IS NULL OR request IS NOT NULL", name="recorded"),
)
"""A row without a `status` is a run that is known by its events alone.

A run's events lie between `first_seq` and `last_seq`; the latter is kept up only once the
run has ended. `last_sequence` is that of its last lifecycle event."""

Index("ix_runs_thread", runs.c.thread_no, runs.c.created_at, runs.c.run_no)
Index(
    "ix_runs_ended",
    runs.c.thread_no,
    runs.c.finished_at,
    runs.c.run_no,
    sqlite_where=runs.c.finished_at.is_not(None),
    postgresql_where=runs.c.finished_at.is_not(None),
)
Index("ix_runs_live", runs.c.thread_no, runs.c.run_no, sqlite_where=_LIVE, postgresql_where=_LIVE)

events = Table(
    "run_events",
    metadata,
    Column("position", _Number, primary_key=True, autoincrement=False),
    Column("thread_no", BigInteger, ForeignKey("threads.thread_no"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("run_no", BigInteger, nullable=False),
    Column("category", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_key", Text, nullable=False),
    Column("content", Payload),
    Column("metadata", Payload),
    Column("created_at", BigInteger, nullable=False),
    Column("sequence", BigInteger),
    UniqueConstraint("thread_no", "seq"),
    CheckConstraint(_one_of("category", EventCategory), name="category"),
)
"""`run_no` has no foreign key: to check it, each deletion of a run would read every event."""

_MESSAGES = text(f"category = '{EventCategory.MESSAGE}'")
Index(
    "ix_events_messages",
    events.c.thread_no,
    events.c.seq,
    sqlite_where=_MESSAGES,
    postgresql_where=_MESSAGES,
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("thread_no", BigInteger, ForeignKey("threads.thread_no"), primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("state", Payload),
)
"""What a thread's last two runs saved, the later with the higher `place`."""

graph_checkpoints = Table(
    "graph_checkpoints",
    metadata,
    Column("thread_id", Text, primary_key=True),
    Column("namespace", Text, primary_key=True),
    Column("checkpoint_id", Text, primary_key=True),
    Column("parent_id", Text),
    Column("run_id", Text),
    Column("kind", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
"""The states of graphs. By the names that graphs use: their threads need no runs."""
Index("ix_graph_checkpoints_run", graph_checkpoints.c.run_id)

graph_writes = Table(
    "graph_writes",
    metadata,
    Column("thread_id", Text, primary_key=True),
    Column("namespace", Text, primary_key=True),
    Column("checkpoint_id", Text, primary_key=True),
    Column("task_id", Text, primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("task_path", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
)
"""What tasks wrote on a checkpoint, before the step was complete."""

cursors = Table(
    "observer_cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

# Conditions of partial indexes, as text: with a parameter in its place, no index is used.


def _words(words: Iterable[str]) -> list[ColumnElement[str]]:
    return [literal_column(repr(str(word))) for word in sorted(words)]


LIVE = runs.c.status.in_(_words(IN_FLIGHT))
ENDED = runs.c.status.in_(_words(TERMINAL))
MESSAGE = events.c.category == literal_column(repr(str(EventCategory.MESSAGE)))
FRAME = events.c.category == literal_column(repr(str(EventCategory.FRAME)))
