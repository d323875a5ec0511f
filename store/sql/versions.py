"""The schema's version: made, checked, and brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, Table, Text, insert, inspect, select

from ...domain.store_errors import StoreOutdated, StoreTooNew, StoreUnusable
from .revisions import HEAD, REVISIONS, VERSION_TABLE
from .schema import metadata, state

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .place import Place

_version = Table(VERSION_TABLE, MetaData(), Column("version_num", Text, primary_key=True))


def version(connection: Connection) -> str | None:
    """The schema's version; `None` where there is none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(_version.c.version_num)).scalar()
    return found


def prepare(connection: Connection, place: Place) -> None:
    """Make the tables, or bring them up to date, within the connection's transaction.

    Raises:
        StoreTooNew: a newer callboard made them.
        StoreOutdated: they are older, and Alembic is not installed.
        StoreUnusable: the database has tables of those names that are not callboard's.

    """
    current = version(connection)
    if current is None:
        _create(connection, place)
    elif current not in REVISIONS:
        raise too_new(place, current)
    elif current != HEAD:
        _upgrade(connection, place, current)


def too_new(place: Place, found: str) -> StoreTooNew:
    """What is wrong with a store of a version that is not known."""
    return StoreTooNew(
        str(place),
        f"its schema is version {found}, and this callboard knows up to {HEAD}",
        "Use the newer callboard that made it",
    )


def _create(connection: Connection, place: Place) -> None:
    there = set(inspect(connection).get_table_names())
    foreign = sorted(there & set(metadata.tables))
    if foreign:
        raise StoreUnusable(
            str(place),
            f"it holds tables that callboard did not make: {', '.join(foreign)}",
            "Name another database",
        )
    metadata.create_all(connection)
    _version.create(connection)
    connection.execute(insert(_version).values(version_num=HEAD))
    connection.execute(insert(state).values(id=1, epoch=0, position=0, seq_floor=0))


def _upgrade(connection: Connection, place: Place, current: str) -> None:
    try:
        from .migrations import upgrade  # noqa: PLC0415 - Alembic is an extra
    except ImportError as error:
        raise StoreOutdated(
            str(place),
            f"its schema is version {current}, and this callboard needs {HEAD}",
            "Install callboard[migrations], which brings it up to date",
        ) from error
    upgrade(connection)
