"""The schema's versions: the tables that migrations make, and what a migration survives."""

import asyncio
import hashlib
import signal
import subprocess
import sys

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from callboard.domain.store_errors import (
    StoreOutdated,
    StoreTooNew,
    StoreUnavailable,
    StoreUnusable,
)
from callboard.store.sql import SqlStore, migrations, versions
from callboard.store.sql.schema import metadata
from tests.store.contract import put, run

SECOND = """
import os

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.add_column("runs", sa.Column("colour", sa.Text()))
    {fault}
    op.create_table("colours", sa.Column("name", sa.Text(), primary_key=True))
"""

NEWER = """
import asyncio, sys
from pathlib import Path
from callboard.store.sql import SqlStore, migrations, versions

versions.REVISIONS, versions.HEAD = ("0001", "0002", "0003"), "0003"
migrations.REVISIONS_FOLDERS.append(Path(sys.argv[1]))
asyncio.run(SqlStore(sys.argv[2]).open())
"""
"""A callboard that knows one version more opens a store."""

CATALOGUE = (
    """SELECT table_name, column_name, data_type, is_nullable, numeric_precision
    FROM information_schema.columns WHERE table_schema = 'public'""",
    """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
)
"""All that PostgreSQL knows of its tables, each row with the table's name first."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/runs.db"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def second(tmp_path):
    """Writes the revision 0003, with a fault in its middle. Returns its folder."""
    folder = tmp_path / "revisions"
    folder.mkdir()

    def write(fault="pass"):
        (folder / "0003_second.py").write_text(SECOND.format(fault=fault))
        return folder

    return write


@pytest.fixture
def newer(monkeypatch):
    """Lets this callboard know the revision in a folder, too."""

    def know(folder):
        monkeypatch.setattr(versions, "REVISIONS", ("0001", "0002", "0003"))
        monkeypatch.setattr(versions, "HEAD", "0003")
        folders = [*migrations.REVISIONS_FOLDERS, folder]
        monkeypatch.setattr(migrations, "REVISIONS_FOLDERS", folders)

    return know


async def do(url, work):
    """Do some work in a transaction, without a store."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def execute(url, *statements):
    asyncio.run(do(url, lambda c: [c.execute(text(each)) for each in statements]))


def runs_in(url):
    """Open and close a store. Returns the ids of the runs in it."""

    async def look():
        store = SqlStore(url)
        await store.open()
        try:
            return [each.run_id for each in await store.runs.list_by_thread("t")]
        finally:
            await store.close()

    return asyncio.run(look())


def make(url):
    """Make a store that has one run."""

    async def work():
        store = SqlStore(url)
        await store.open()
        await put(store, run())
        await store.close()

    asyncio.run(work())


def schema_of(connection):
    """All that the database knows of its tables, but for their version's."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT tbl_name, name, sql FROM sqlite_master"))
        # The order of a table's constraints means nothing.
        found = [(table, name, *sorted(_lines(sql))) for table, name, sql in rows]
    else:
        found = [tuple(row) for query in CATALOGUE for row in connection.execute(text(query))]
    return sorted((row for row in found if row[0] != versions.VERSION_TABLE), key=repr)


def _lines(sql):
    return [line.strip(" ,\t") for line in (sql or "").splitlines()]


def state_of(connection):
    """The version, the columns of runs, and the tables that came later."""
    tables = inspect(connection)
    columns = {column["name"] for column in tables.get_columns("runs")}
    return versions.version(connection), "colour" in columns, tables.has_table("colours")


def test_migrations_from_nothing_make_the_tables_that_a_new_store_has(url):
    at_once = asyncio.run(do(url, lambda c: metadata.create_all(c) or schema_of(c)))
    asyncio.run(do(url, metadata.drop_all))

    migrated = asyncio.run(do(url, lambda c: migrations.upgrade(c) or schema_of(c)))

    assert migrated == at_once
    assert len(migrated) > len(metadata.tables)


def test_a_database_made_by_migrations_is_a_store(url):
    asyncio.run(do(url, migrations.upgrade))

    make(url)

    assert runs_in(url) == ["r"]


def test_every_revision_is_known_in_order_and_has_one_before_it():
    script = ScriptDirectory.from_config(migrations.configuration())

    files = [revision.revision for revision in script.walk_revisions()]

    assert tuple(reversed(files)) == versions.REVISIONS


def test_an_older_store_is_brought_up_to_date_when_it_is_opened(url, second, newer):
    make(url)
    newer(second())

    assert runs_in(url) == ["r"]
    assert asyncio.run(do(url, state_of)) == ("0003", True, True)


def test_of_a_migration_that_fails_half_way_nothing_stays_and_the_next_succeeds(
    url, second, newer, monkeypatch
):
    make(url)
    newer(second(fault="raise RuntimeError('half way')"))
    with pytest.raises(StoreUnavailable, match="half way"):
        runs_in(url)
    monkeypatch.undo()

    assert asyncio.run(do(url, state_of)) == ("0002", False, False)
    assert runs_in(url) == ["r"]
    newer(second())
    assert runs_in(url) == ["r"]
    assert asyncio.run(do(url, state_of)) == ("0003", True, True)


def test_of_a_migration_that_is_killed_half_way_nothing_stays_and_the_next_succeeds(
    url, second, newer
):
    make(url)
    folder = second(fault="os.kill(os.getpid(), 9)")
    killed = subprocess.run(
        [sys.executable, "-c", NEWER, folder, url], capture_output=True, timeout=60, check=False
    )

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert runs_in(url) == ["r"]
    assert asyncio.run(do(url, state_of)) == ("0002", False, False)
    newer(second())
    assert runs_in(url) == ["r"]
    assert asyncio.run(do(url, state_of)) == ("0003", True, True)


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    file = tmp_path / "runs.db"
    url = f"sqlite+aiosqlite:///{file}"
    make(url)
    execute(url, f"UPDATE {versions.VERSION_TABLE} SET version_num = '9999'")
    before = hashlib.sha256(file.read_bytes()).hexdigest()

    with pytest.raises(StoreTooNew, match="version 9999, and this callboard knows up to"):
        runs_in(url)

    assert hashlib.sha256(file.read_bytes()).hexdigest() == before


def test_a_shared_store_of_a_newer_version_is_refused(postgres):
    url = postgres.new_database()
    make(url)
    execute(url, f"UPDATE {versions.VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(StoreTooNew, match="version 9999"):
        runs_in(url)


def test_tables_of_another_application_are_refused_and_kept(url):
    execute(url, "CREATE TABLE runs (speed INTEGER)", "INSERT INTO runs VALUES (7)")

    with pytest.raises(StoreUnusable, match="tables that callboard did not make: runs"):
        runs_in(url)

    rows = asyncio.run(do(url, lambda c: c.execute(text("SELECT speed FROM runs")).all()))
    assert rows == [(7,)]


def test_tables_of_another_application_that_are_not_in_the_way_are_no_obstacle(url):
    execute(url, "CREATE TABLE cars (speed INTEGER)")

    make(url)

    assert runs_in(url) == ["r"]


def test_without_alembic_an_older_store_says_what_to_install(url, second, newer, monkeypatch):
    make(url)
    newer(second())
    monkeypatch.delitem(sys.modules, migrations.__name__)
    monkeypatch.setitem(sys.modules, "alembic", None)

    with pytest.raises(StoreOutdated, match=r"version 0002.*needs 0003.*callboard\[migrations\]"):
        runs_in(url)


def test_without_alembic_a_new_store_works(url, monkeypatch):
    monkeypatch.delitem(sys.modules, migrations.__name__)
    monkeypatch.setitem(sys.modules, "alembic", None)

    make(url)

    assert runs_in(url) == ["r"]
