"""The pytest plugin, in a pytest of its own."""

import shlex
import subprocess
import sys

import pytest

TESTS = """
def test_good(callboard_seed):
    assert callboard_seed >= 0

def test_bad(callboard_seed):
    assert callboard_seed == -1
"""
CASES = """
import pytest

@pytest.mark.parametrize("fault", ["handler raises"])
def test_fault(fault, callboard_seed):
    assert callboard_seed == -1
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "test_seeds.py").write_text(TESTS)

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False
        ).stdout

    return run


def test_a_failure_says_how_to_have_it_again(run):
    said = run("--callboard-seed", "77")

    assert "callboard: --callboard-seed 77" in said
    assert "pytest test_seeds.py::test_bad --callboard-seed 77" in said
    assert "1 failed, 1 passed" in said


def test_what_to_enter_again_is_quoted_for_the_shell(run, tmp_path):
    (tmp_path / "test_seeds.py").write_text(CASES)

    said = run("--callboard-seed", "77")

    (again,) = [line for line in said.splitlines() if line.startswith("pytest ")]
    assert again == "pytest 'test_seeds.py::test_fault[handler raises]' --callboard-seed 77"
    assert "1 failed" in run(*shlex.split(again)[1:])


def test_without_one_the_seed_is_fresh_each_time(run):
    said = [line for line in run().splitlines() if line.startswith("callboard: ")]

    assert len(said) == 1
    assert said != ["callboard: --callboard-seed 77"]
