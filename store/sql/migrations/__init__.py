"""The way from one version of the schema to the next, by Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from ..revisions import VERSION_TABLE

_HERE = Path(__file__).parent
REVISIONS_FOLDERS = [_HERE / "versions"]
"""Where the revisions are, one file each."""


def configuration() -> Config:
    """Alembic's configuration, which needs no file."""
    config = Config()
    config.set_main_option("script_location", _escaped(_HERE))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(_escaped, REVISIONS_FOLDERS)))
    return config


def upgrade(connection: Connection, *, to: str = "head") -> None:
    """Bring the tables up to date, within the connection's transaction: wholly or not at all.

    Args:
        connection: in a transaction that keeps others from doing the same.
        to: the revision wanted.

    """
    config = configuration()
    config.attributes["context"] = {
        "connection": connection,
        "version_table": VERSION_TABLE,
        # Alembic would have SQLite commit each statement: a migration that died half way
        # could neither be finished nor begun anew.
        "transactional_ddl": True,
    }
    command.upgrade(config, to)


def _escaped(path: Path) -> str:
    """As a value of the configuration, where `%` begins a reference."""
    return str(path).replace("%", "%%")
