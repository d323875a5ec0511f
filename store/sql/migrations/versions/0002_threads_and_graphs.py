"""Threads get records of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "thread_records",
        sa.Column("thread_no", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text().with_variant(sa.JSON(), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thread_no", name="pk_thread_records"),
        sa.ForeignKeyConstraint(
            ["thread_no"], ["threads.thread_no"], name="fk_thread_records_thread_no"
        ),
    )
