"""The same seed is the same story, on every machine and in every process."""

import hashlib
import subprocess
import sys

import pytest

from callboard.testing import Plan, World

SEEDS = range(24)
STORY = """
import hashlib, sys
from callboard.testing import Plan, World
from callboard.testing.soak import be_quiet
be_quiet()
garbage = [[] for _ in range(int(sys.argv[1]))]
for seed in range(24):
    print(hashlib.sha256(World(Plan.of(seed), None).run().trace.encode()).hexdigest())
"""


def story(seed):
    return World(Plan.of(seed), None).run().trace


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_trace_byte_for_byte(seed):
    assert story(seed) == story(seed)


def test_a_trace_that_is_not_kept_changes_nothing():
    kept, unkept = World(Plan.of(7), None).run(), World(Plan.of(7)).run()

    assert (kept.steps, kept.turns, kept.seconds) == (unkept.steps, unkept.turns, unkept.seconds)
    assert (kept.checked, kept.faults) == (unkept.checked, unkept.faults)
    assert unkept.trace == ""


def test_other_processes_with_other_hashes_tell_the_same_stories():
    own = [hashlib.sha256(story(seed).encode()).hexdigest() for seed in SEEDS]

    for hashes, garbage in (("0", 10), ("12345", 3000)):
        told = subprocess.run(
            [sys.executable, "-c", STORY, str(garbage)],
            env={"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.split() == own


def test_a_trace_says_who_said_what_to_whom_and_when():
    lines = story(0).splitlines()

    assert lines[0].split() == ["0.000", "a", "process", "starts"]
    assert any("→ supervisor 1: Activate(thread_id=" in line for line in lines)
    assert all(float(line[:10]) >= 0 for line in lines)
    assert not any("0x" in line for line in lines)
