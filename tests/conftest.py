"""What holds for every test."""

import asyncio
import contextlib
import logging
import os
import threading

import pytest
import structlog
from hypothesis import settings

from tests.postgres import PostgresServer, installed_postgres

# No deadline: a busy machine is no defect. Not derandomized, so that each run looks
# elsewhere; the blob that a failure prints brings it back.
settings.register_profile("callboard", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("callboard")

UNWINDING = 10.0
"""Real seconds that an OS thread gets to notice that its runtime has ended."""


@pytest.fixture(autouse=True)
def _quiet_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_os_thread_is_left():
    """The loops and the workers of a runtime end with it."""
    yield
    ours = [t for t in threading.enumerate() if t.name.startswith("callboard")]
    for each in ours:
        each.join(UNWINDING)
    assert [each.name for each in ours if each.is_alive()] == []


@pytest.fixture(autouse=True)
def _no_task_is_left(request, monkeypatch):
    """When a test's event loop ends, no task of ours is still at work on it.

    A test that leaves one on purpose says so: `@pytest.mark.leaves_tasks`.
    """
    left = []
    close = asyncio.Runner.close

    def counted_close(runner):
        with contextlib.suppress(RuntimeError):  # closed before
            left.extend(repr(t) for t in asyncio.all_tasks(runner.get_loop()) if _ours(t))
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", counted_close)
    yield
    if request.node.get_closest_marker("leaves_tasks") is None:
        assert left == []


@pytest.fixture(scope="session")
def postgres():
    """A running PostgreSQL server, one for all tests: each takes a `new_database()` of it.

    A test that stops it starts it again. Without PostgreSQL such tests are skipped, but for
    CALLBOARD_REQUIRE_POSTGRES=1: then they fail.
    """
    binaries = installed_postgres()
    if binaries is None:
        missing = "no PostgreSQL: neither /usr/lib/postgresql/*/bin nor the PATH has an initdb"
        if os.environ.get("CALLBOARD_REQUIRE_POSTGRES") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    # Restarts would sync the files of all databases made before, for longer than a lease.
    with PostgresServer(binaries, fsync=False) as server:
        yield server


def _ours(task):
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and frame.f_globals["__name__"].split(".")[0] in {"callboard", "tests"}
