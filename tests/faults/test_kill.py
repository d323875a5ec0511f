"""`kill -9` of a real process at random moments, and what the next one finds.

A short version runs with the other tests. The long one:

    CALLBOARD_KILLS=200 python -m pytest tests/faults/test_kill.py

`CALLBOARD_SEED` chooses other moments and other work.
"""

import os
import random

from .checker import Checker
from .lives import live, url_of

ROUNDS = int(os.environ.get("CALLBOARD_KILLS", "8"))
SEED = os.environ.get("CALLBOARD_SEED", "0")
LONGEST = 2000
"""Acknowledgements of the longest life. The shortest ends while it opens the file."""
STRATA = 8
"""So many rounds go through all orders of magnitude, from one acknowledgement on."""


def test_nothing_acknowledged_is_lost_however_often_the_process_is_killed(tmp_path):
    url, chance = url_of(tmp_path / "runs.db"), random.Random(SEED)
    checker, everything, kinds = Checker(url), [], set()
    for number in range(ROUNDS):
        acknowledged = []
        # Twice without a check in between: the second has to recover, and dies at it, or later.
        for _ in range(chance.choice((1, 1, 2))):
            moment = int(LONGEST ** ((number % STRATA + chance.random()) / STRATA))
            durability = chance.choice(("full", "process"))
            acknowledged += live(url, durability, chance.random(), moment)
        wrong = checker.check(acknowledged)
        assert wrong == [], f"round {number} of seed {SEED}, {len(acknowledged)} acknowledged"
        everything += acknowledged
        kinds |= {kind for kind, *_ in acknowledged}

    assert Checker(url).check(everything) == [], f"all rounds of seed {SEED}"
    if ROUNDS >= STRATA:
        assert kinds == {"opening", "opened", "run", "end", "event", "message", "frame"}
