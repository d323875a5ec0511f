"""What holds for every test."""

import logging
import threading

import pytest
import structlog


@pytest.fixture(autouse=True)
def _quiet_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_os_thread_is_left():
    """An event loop of ours ends with its runtime; workers may take a moment to notice."""
    yield
    left = [t for t in threading.enumerate() if t.name == "callboard-loop"]
    assert left == []
