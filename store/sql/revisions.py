"""The versions of the schema, by name."""

REVISIONS = ("0001", "0002")
"""Every version, oldest first: the files in `migrations/versions`."""
HEAD = REVISIONS[-1]
"""What this callboard needs."""
VERSION_TABLE = "callboard_version"
"""Not Alembic's own name: the database may hold another application's tables."""
