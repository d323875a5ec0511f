"""What Alembic runs to migrate: in the connection, and the transaction, that it is given."""

from __future__ import annotations

from alembic import context

context.configure(**context.config.attributes["context"])
context.run_migrations()
