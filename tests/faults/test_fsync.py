"""A disk that does not write, and one that is slow at it: `fsync` and `fdatasync` themselves."""

import shutil
import subprocess
from pathlib import Path

import pytest

from .bad_disk import LATE, WHILE_FAILING
from .checker import Checker
from .child import THREADS
from .lives import child, url_of


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """What stands before the C library."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: `cc` is not on the PATH")
    target = tmp_path_factory.mktemp("fsync") / "fsync.so"
    source = Path(__file__).with_name("fsync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, source, "-ldl"], check=True)
    return target


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("disk") / "runs.db"


@pytest.fixture(scope="module")
def said(library, path):
    """All that a process said whose disk failed, recovered, and was slow; then it was killed."""
    fault = path.with_name("fault")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LD_PRELOAD", str(library))
        environment.setenv("FSYNC_FAULT", str(fault))
        with child("bad_disk", path, fault) as process:
            while not process.said or process.said[-1][0] != "slow":
                process.hear(1)
            process.kill()
    return process.said


def told(said, kind):
    return [what for told_kind, *what in said if told_kind == kind]


def test_while_syncing_fails_no_run_is_accepted_and_none_ends(said):
    assert told(said, "refused") == [["StoreUnavailable"]] * len(WHILE_FAILING)
    assert told(said, "status") == [["running"]]


def test_when_it_works_again_everything_goes_on(said):
    assert told(said, "healthy") == [[False], [True]]
    assert {status for _, status in told(said, "end")} == {"success"}


def test_a_slow_disk_delays_and_fails_nothing(said):
    healthy = len(said) - 1 - said[::-1].index(["healthy", True])
    kinds = [kind for kind, *_ in said[healthy + 1 :]]

    assert sorted(kinds) == sorted(["run", "end"] * len(THREADS) + ["slow"])
    assert said[-1][1] > LATE


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(said, path):
    assert Checker(url_of(path)).check(said) == []
