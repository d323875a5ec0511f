"""Files that cannot be used: each is refused with what is the case, and none is touched."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from callboard import CallboardError, InvalidValue, Runtime
from callboard.domain import StoreCorrupt

from .agents import AGENTS_THAT_END
from .lives import child, url_of


async def work(url, runs=1):
    async with Runtime(AGENTS_THAT_END, store=url) as runtime:
        for _ in range(runs):
            await runtime.create_and_wait("t", "writer", input={"count": 12})


def contents(folder):
    """All that is kept: not who owns the store, nor the index of the log, nor an empty log."""
    kept = {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith((".owner", "-shm"))
    }
    return {name: content for name, content in kept.items() if content}


@pytest.fixture
def folder():
    """A folder that every user can reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="callboard-"))
    path.chmod(0o777)
    yield path
    path.chmod(0o777)
    shutil.rmtree(path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "runs.db",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///file::memory:?cache=shared&uri=true",
        "sqlite+aiosqlite://runs.db",
        "sqlite+aiosqlite://host/runs.db",
        "mysql+aiomysql://somebody@127.0.0.1/runs",
        "nosuch+driver:///runs.db",
    ],
)
def test_an_url_that_names_no_durable_store_is_refused_before_anything_is_made(
    url, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidValue, match=r"^store is .*: (give|name) "):
        asyncio.run(work(url))

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_and_not_made(tmp_path):
    missing = tmp_path / "missing"

    with pytest.raises(CallboardError, match="missing"):
        asyncio.run(work(url_of(missing / "runs.db")))

    assert not missing.exists()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    path = tmp_path / "runs.db"
    path.mkdir()

    with pytest.raises(CallboardError, match=r"runs\.db"):
        asyncio.run(work(url_of(path)))

    assert list(path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_and_stays_as_it_was(tmp_path):
    path = tmp_path / "runs.db"
    path.write_bytes(b"Dear diary, today I was mistaken for a database. " * 500)
    before = contents(tmp_path)

    with pytest.raises(StoreCorrupt, match=r"runs\.db"):
        asyncio.run(work(url_of(path)))

    assert contents(tmp_path) == before


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_database_is_refused_and_stays_as_it_was(tmp_path, kept):
    path = tmp_path / "runs.db"
    asyncio.run(work(url_of(path), runs=20))
    os.truncate(path, int(path.stat().st_size * kept))
    before = contents(tmp_path)

    with pytest.raises(StoreCorrupt, match=r"runs\.db"):
        asyncio.run(work(url_of(path)))

    assert contents(tmp_path) == before


def test_a_refused_file_is_free_for_the_next(tmp_path):
    path = tmp_path / "runs.db"
    path.write_bytes(b"no database" * 500)
    with pytest.raises(StoreCorrupt):
        asyncio.run(work(url_of(path)))

    path.unlink()

    asyncio.run(work(url_of(path)))
    assert path.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o755, 0o644), (0o777, 0o444)])
def test_what_may_only_be_read_is_refused_at_the_start(folder, folder_mode, file_mode):
    path = folder / "runs.db"
    asyncio.run(work(url_of(path)))
    for file in folder.iterdir():
        file.chmod(file_mode)
    folder.chmod(folder_mode)
    before = contents(folder)

    with child("opener", url_of(path)) as opener:
        kind, *answer = opener.answer()

    assert kind == "refused"
    assert answer[0] == "StoreReadOnly"
    assert "runs.db" in answer[1]
    assert contents(folder) == before


def test_a_new_file_in_a_folder_that_may_only_be_read_is_refused(folder):
    folder.chmod(0o555)

    with child("opener", url_of(folder / "runs.db")) as opener:
        kind, *answer = opener.answer()

    assert (kind, answer[0]) == ("refused", "StoreReadOnly")
    assert list(folder.iterdir()) == []
