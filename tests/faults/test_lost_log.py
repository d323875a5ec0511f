"""A write-ahead log that is lost or damaged, which SQLite itself does not notice.

The file then lacks what was acknowledged: it is refused, and nothing that could still be
saved is changed.
"""

import pytest

from callboard.domain import StoreRegressed

from .checker import Checker
from .lives import live, url_of


@pytest.fixture
def killed(tmp_path):
    """A store whose process was killed, and what it had acknowledged."""
    path = tmp_path / "runs.db"
    return path, live(url_of(path), "full", 0, 300)


def parts(path):
    """The database and its log; no log is an empty one, and its index is made anew each time."""
    log = path.with_name("runs.db-wal")
    return path.read_bytes(), log.read_bytes() if log.exists() else b""


def test_without_its_log_a_store_is_refused_and_with_it_everything_is_there_again(killed):
    path, acknowledged = killed
    log = path.with_name("runs.db-wal")
    log.rename(path.with_name("elsewhere"))
    before = parts(path)

    with pytest.raises(StoreRegressed, match=r"runs\.db-wal"):
        Checker(url_of(path)).check(acknowledged)

    assert parts(path) == before
    path.with_name("elsewhere").rename(log)
    assert Checker(url_of(path)).check(acknowledged) == []


@pytest.mark.parametrize("place", [0.1, 0.5, 0.95])
def test_a_damaged_log_is_noticed_and_stays_as_it_was(killed, place):
    path, acknowledged = killed
    log = path.with_name("runs.db-wal")
    damaged = bytearray(log.read_bytes())
    damaged[int(len(damaged) * place)] ^= 0xFF
    log.write_bytes(damaged)
    before = parts(path)

    with pytest.raises(StoreRegressed, match=r"\.owner"):
        Checker(url_of(path)).check(acknowledged)

    assert parts(path) == before
