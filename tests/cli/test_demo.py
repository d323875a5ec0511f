"""`python -m callboard demo`, as a stranger calls it."""

import subprocess
import sys


def test_every_claim_of_the_demo_holds():
    done = subprocess.run(
        [sys.executable, "-m", "callboard", "demo"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: 17 of 17 claims held"
    assert done.stderr == ""
