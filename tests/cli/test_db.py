"""`python -m callboard db`, as a user calls it."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from callboard.cli import main
from callboard.domain import RunSnapshot, StoredRunEvent
from callboard.domain.codec import decode
from callboard.store.sql import SqlStore, inspection, migrations, versions
from tests.store.contract import (
    PENDING,
    RUNNING,
    SUCCESS,
    at,
    changed,
    commit,
    inserted,
    message,
    move,
    own,
    run,
)

SECOND = """
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.execute("CREATE TABLE colours (name TEXT)")
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def in_file(file):
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Of an empty database."""
    if request.param == "sqlite":
        return request.getfixturevalue("in_file")
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def db(capsys):
    """Calls a command. Returns its exit code, its lines, and the lines of its errors."""

    def call(*arguments):
        code = main(["db", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return call


async def fill(store, ended=("r1", "r2"), count=2):
    """Runs that have ended a minute after each other, each with messages; and one in flight."""
    fence = (await own(store))()
    for minute, run_id in enumerate(ended, 1):
        messages = [message(number, run_id) for number in range(1, count + 1)]
        await commit(
            store,
            inserted(fence, run(run_id)),
            changed(fence, move(PENDING, RUNNING, run_id), *messages),
            changed(fence, move(RUNNING, SUCCESS, run_id, minute=minute)),
        )
    await commit(store, inserted(fence, run("live")))


def made(url, **content):
    """A store with runs in it, closed again. Returns its URL."""

    async def work():
        store = SqlStore(url)
        await store.open()
        await fill(store, **content)
        await store.close()

    asyncio.run(work())
    return url


def beside(url, *arguments):
    """Call a command while another process has the store open."""

    async def work():
        store = SqlStore(url)
        await store.open()
        await fill(store)
        try:
            return await asyncio.to_thread(subprocess.run, command(*arguments), **CAPTURED)
        finally:
            await store.close()

    return asyncio.run(work())


CAPTURED = {"capture_output": True, "text": True, "timeout": 60, "check": False}


def command(*arguments):
    return [sys.executable, "-m", "callboard", "db", *arguments]


def change(file, *statements):
    with sqlite3.connect(file) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


# upgrade


def test_upgrade_makes_a_store_and_says_its_version(db, url):
    assert db("upgrade", "--store", url) == (0, [f"made, at version {versions.HEAD}"], [])
    assert db("upgrade", "--store", url) == (0, [f"up to date, at version {versions.HEAD}"], [])
    assert db("check", "--store", url)[0] == 0


def test_upgrade_says_from_where_to_where(db, url, tmp_path, monkeypatch):
    made(url)
    (tmp_path / "0003_second.py").write_text(SECOND)
    folders = [*migrations.REVISIONS_FOLDERS, tmp_path]
    monkeypatch.setattr(migrations, "REVISIONS_FOLDERS", folders)
    monkeypatch.setattr(versions, "REVISIONS", ("0001", "0002", "0003"))
    monkeypatch.setattr(versions, "HEAD", "0003")

    assert db("upgrade", "--store", url) == (0, ["upgraded from version 0002 to 0003"], [])


# check


def test_check_says_what_is_in_a_store(db, url):
    made(url)

    code, lines, errors = db("check", "--store", url)

    assert (code, errors) == (0, [])
    assert lines[0].split()[1] == ("SQLite" if "sqlite" in url else "PostgreSQL")
    assert lines[1:] == [
        f"schema     version {versions.HEAD}",
        "threads    1",
        "runs       3, 1 in flight",
        "events     4",
        "found nothing wrong",
    ]


def test_check_works_beside_a_process_that_has_the_store_open(url):
    done = beside(url, "check", "--store", url)

    assert done.returncode == 0, done.stderr
    assert "runs       3, 1 in flight" in done.stdout


def test_check_finds_a_damaged_page(db, file, in_file):
    made(in_file, count=200)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 2000] = b"\xaa" * 2000
    file.write_bytes(content)

    code, _, errors = db("check", "--store", in_file)

    assert code == 1
    assert errors


def test_check_finds_that_what_was_acknowledged_is_lost(db, file, in_file, tmp_path):
    made(in_file, ended=("r1",))
    shutil.copy(file, tmp_path / "copy")
    with_more = SqlStore(in_file)

    async def go_on():
        await with_more.open()
        fence = (await own(with_more))()
        await commit(with_more, changed(fence, move(PENDING, RUNNING, "live"), message(1, "live")))
        await with_more.close()

    asyncio.run(go_on())
    shutil.copy(tmp_path / "copy", file)

    code, _, errors = db("check", "--store", in_file)

    assert code == 1
    assert errors == ["callboard db check: the log ends at 2, and 3 was acknowledged before"]


def test_check_finds_that_everything_is_lost(db, file, in_file):
    made(in_file)
    file.write_bytes(b"")

    code, lines, errors = db("check", "--store", in_file)

    assert (code, lines[1]) == (1, "schema     none")
    assert errors == [
        "callboard db check: callboard has no tables in it",
        "callboard db check: the log ends at 0, and 4 was acknowledged before",
    ]


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM runs WHERE run_id = 'r1'", "2 events are of runs that are gone"),
        ("DELETE FROM threads", "of run_events belongs to a row of threads that is gone"),
        ("UPDATE callboard_version SET version_num = '9'", "this callboard knows up to"),
    ],
)
def test_check_finds_what_does_not_fit_together(db, file, in_file, statement, fault):
    made(in_file)
    change(file, statement)

    code, _, errors = db("check", "--store", in_file)

    assert code == 1
    assert any(fault in line for line in errors)


@pytest.mark.parametrize("part", ["check", "export", "prune"])
def test_what_is_no_store_is_one_clear_line_and_exit_code_1(db, file, in_file, part):
    arguments = [part, "--store", in_file, *(["--keep", "1"] if part == "prune" else [])]
    missing = db(*arguments)
    left = file.exists()
    change(file, "CREATE TABLE cars (speed INTEGER)")
    foreign = db(*arguments)
    file.write_bytes(b"no database at all" * 1000)
    garbage = db(*arguments)

    assert not left
    for (code, _, errors), text in (
        (missing, "there is no such file"),
        (foreign, "callboard has no tables in it"),
        (garbage, "it is damaged, or no SQLite database"),
    ):
        assert (code, len(errors)) == (1, 1)
        assert text in errors[0]


# prune


def test_prune_deletes_what_the_user_names(db, url):
    made(url)

    assert db("prune", "--store", url, "--keep", "1") == (0, ["deleted 1 runs and 2 events"], [])
    assert "events     2" in db("check", "--store", url)[1]


@pytest.mark.parametrize(
    ("age", "left"), [("10s", 0), ("40m", 0), ("12h", 1), ("3d", 1), ("2w", 2)]
)
def test_prune_knows_how_long_ago_a_run_has_ended(db, in_file, age, left, monkeypatch):
    class Clock:
        @staticmethod
        def now(zone):
            return at(7 * 24 * 60).astimezone(zone)

    made(in_file, ended=("r1",))

    async def one_more():
        store = SqlStore(in_file)
        await store.open()
        fence = (await own(store))()
        await commit(store, changed(fence, move(PENDING, RUNNING, "live")))
        late = move(RUNNING, SUCCESS, "live", minute=7 * 24 * 60 - 120)
        await commit(store, changed(fence, late))
        await store.close()

    asyncio.run(one_more())
    monkeypatch.setattr("callboard.cli.db.datetime", Clock)

    db("prune", "--store", in_file, "--older-than", age)

    assert f"runs       {left}, 0 in flight" in db("check", "--store", in_file)[1]


def test_prune_refuses_while_another_process_has_the_store_open(db, url):
    done = beside(url, "prune", "--store", url, "--keep", "0")

    assert done.returncode == 1
    assert "has it open" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "runs       3, 1 in flight" in db("check", "--store", url)[1]


# export


def test_export_prints_every_run_and_every_event_in_order(db, url, monkeypatch):
    monkeypatch.setattr(inspection, "_PAGE", 2)
    made(url)

    code, lines, _ = db("export", "--store", url)

    values = [decode(json.loads(line)) for line in lines]
    runs = [each for each in values if isinstance(each, RunSnapshot)]
    events = [each for each in values if isinstance(each, StoredRunEvent)]
    assert code == 0
    assert values == [*runs, *events]
    assert [each.run_id for each in runs] == ["r1", "r2", "live"]
    assert [(each.run_id, each.position) for each in events] == [
        ("r1", 1),
        ("r1", 2),
        ("r2", 3),
        ("r2", 4),
    ]


def test_export_works_beside_a_process_that_has_the_store_open(url):
    done = beside(url, "export", "--store", url)

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 7


def test_export_ends_quietly_when_its_reader_does(in_file):
    made(in_file, count=2000)
    with subprocess.Popen(
        command("export", "--store", in_file), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (process.returncode, errors) == (141, b"")


# What is asked wrongly.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["check", "--store", "mysql://host/db"], "store is"),
        (["export", "--store", "sqlite://"], "name a file"),
        (["prune", "--store", "sqlite:///runs.db"], "give it, or --keep, or both"),
        (["prune", "--store", "sqlite:///runs.db", "--older-than", "soon"], "12h, 30d"),
        (["prune", "--store", "sqlite:///runs.db", "--keep", "-1"], "0 or more"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(db, arguments, text):
    code, lines, errors = db(*arguments)

    assert (code, lines, len(errors)) == (2, [], 1)
    assert text in errors[0]


def test_without_a_part_it_prints_the_help(db):
    code, lines, _ = db()

    assert code == 2
    for part in ("upgrade", "check", "prune", "export"):
        assert any(part in line for line in lines)
