"""The durable store: a SQLite file or a PostgreSQL database."""

from .store import SqlStore

__all__ = ["SqlStore"]
