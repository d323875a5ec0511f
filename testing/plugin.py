"""The pytest plugin: seeds that are fresh each time, and can be had again.

`--callboard-seed N` gives every test that asks for `callboard_seed` that one.
"""

from __future__ import annotations

import secrets
import shlex

import pytest

_KEY = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--callboard-seed`."""
    group = parser.getgroup("callboard", "deterministic simulation of callboard runtimes")
    group.addoption(
        "--callboard-seed",
        type=int,
        default=None,
        metavar="N",
        help="the seed for tests that take one; a fresh one by default",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of this session."""
    given = config.getoption("callboard_seed")
    config.stash[_KEY] = secrets.randbits(32) if given is None else int(given)


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed before anything runs, so that no crash can hide it."""
    return f"callboard: --callboard-seed {config.stash[_KEY]}"


@pytest.fixture(scope="session")
def callboard_seed(pytestconfig: pytest.Config) -> int:
    """The seed of this session: `simulate(scenario, seed=callboard_seed)`."""
    return pytestconfig.stash[_KEY]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> pytest.TestReport:  # type: ignore[misc]
    """Say below a failure how to have it again."""
    report: pytest.TestReport = yield
    if report.failed and "callboard_seed" in getattr(item, "fixturenames", ()):
        again = f"pytest {shlex.quote(item.nodeid)} --callboard-seed {item.config.stash[_KEY]}"
        report.sections.append(("callboard: again with", again))
    return report
