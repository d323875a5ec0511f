"""The first version of the tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    _observer_cursors()
    _owners()
    _store_state()
    _threads()
    _checkpoints()
    _run_events()
    _runs()
    _slots()
    op.execute("INSERT INTO store_state (id, epoch, position, seq_floor) VALUES (1, 0, 0, 0)")


def _number() -> sa.types.TypeEngine[int]:
    """A key that the database gives: SQLite does so for `INTEGER PRIMARY KEY` alone."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _payload() -> sa.types.TypeEngine[str]:
    """JSON that keeps every digit."""
    return sa.Text().with_variant(sa.JSON(), "postgresql")


def _observer_cursors() -> None:
    op.create_table(
        "observer_cursors",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_observer_cursors"),
    )


def _owners() -> None:
    op.create_table(
        "owners",
        sa.Column("owner", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.Float(53)),
        sa.PrimaryKeyConstraint("owner", name="pk_owners"),
    )


def _store_state() -> None:
    op.create_table(
        "store_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("seq_floor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_store_state_one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_store_state"),
    )


def _threads() -> None:
    op.create_table(
        "threads",
        sa.Column("thread_no", _number(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("owned", sa.Integer(), nullable=False),
        sa.Column("seq_floor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thread_no", name="pk_threads"),
        sa.UniqueConstraint("thread_id", name="uq_threads_thread_id"),
    )


def _checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("thread_no", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("state", _payload()),
        sa.PrimaryKeyConstraint("thread_no", "place", name="pk_checkpoints"),
        sa.ForeignKeyConstraint(
            ["thread_no"], ["threads.thread_no"], name="fk_checkpoints_thread_no"
        ),
    )


def _run_events() -> None:
    op.create_table(
        "run_events",
        sa.Column("position", _number(), autoincrement=False, nullable=False),
        sa.Column("thread_no", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("run_no", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("content", _payload()),
        sa.Column("metadata", _payload()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger()),
        sa.UniqueConstraint("thread_no", "seq", name="uq_run_events_thread_no_seq"),
        sa.CheckConstraint(
            "category IN ('lifecycle', 'message', 'frame')", name="ck_run_events_category"
        ),
        sa.PrimaryKeyConstraint("position", name="pk_run_events"),
        sa.ForeignKeyConstraint(
            ["thread_no"], ["threads.thread_no"], name="fk_run_events_thread_no"
        ),
    )
    op.create_index(
        "ix_events_messages",
        "run_events",
        ["thread_no", "seq"],
        sqlite_where=sa.text("category = 'message'"),
        postgresql_where=sa.text("category = 'message'"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        *_identity(),
        *_record(),
        *_usage(),
        sa.UniqueConstraint(
            "thread_no", "idempotency_key", name="uq_runs_thread_no_idempotency_key"
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')",
            name="ck_runs_status",
        ),
        sa.CheckConstraint("status IS NULL OR request IS NOT NULL", name="ck_runs_recorded"),
        sa.PrimaryKeyConstraint("run_no", name="pk_runs"),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
        sa.ForeignKeyConstraint(["thread_no"], ["threads.thread_no"], name="fk_runs_thread_no"),
    )
    op.create_index(
        "ix_runs_ended",
        "runs",
        ["thread_no", "finished_at", "run_no"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_runs_live",
        "runs",
        ["thread_no", "run_no"],
        sqlite_where=sa.text("status IN ('pending', 'running')"),
        postgresql_where=sa.text("status IN ('pending', 'running')"),
    )
    op.create_index("ix_runs_thread", "runs", ["thread_no", "created_at", "run_no"])


def _slots() -> None:
    op.create_table(
        "slots",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.BigInteger()),
        sa.PrimaryKeyConstraint("slot", name="pk_slots"),
        sa.ForeignKeyConstraint(["owner"], ["owners.owner"], name="fk_slots_owner"),
    )


def _identity() -> list[sa.Column[Any]]:
    """Which run it is, and where its events lie."""
    return [
        sa.Column("run_no", _number(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("thread_no", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
    ]


def _record() -> list[sa.Column[Any]]:
    """What is recorded of it."""
    return [
        sa.Column("status", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("request", _payload()),
        sa.Column("created_at", sa.BigInteger()),
        sa.Column("updated_at", sa.BigInteger()),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("attempt", sa.BigInteger()),
        sa.Column("action", sa.Text()),
        sa.Column("stop_reason", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("output", _payload()),
        sa.Column("completion_data", _payload()),
        sa.Column("title", sa.Text()),
        sa.Column("model_name", sa.Text()),
    ]


def _usage() -> list[sa.Column[Any]]:
    """What it spent."""
    return [
        sa.Column("total_input_tokens", sa.BigInteger()),
        sa.Column("total_output_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("llm_call_count", sa.BigInteger()),
        sa.Column("lead_agent_tokens", sa.BigInteger()),
        sa.Column("subagent_tokens", sa.BigInteger()),
        sa.Column("middleware_tokens", sa.BigInteger()),
        sa.Column("message_count", sa.BigInteger()),
        sa.Column("tokens_by_model", _payload()),
        sa.Column("first_human_message", sa.Text()),
        sa.Column("last_ai_message", sa.Text()),
    ]
