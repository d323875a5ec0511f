"""`python -m callboard demo`, as a stranger calls it."""

import signal
import subprocess
import sys

import pytest


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


def play(store, *, until=None, end=signal.SIGKILL):
    """The durable demo: its exit code and what it said, ended when a line has `until`."""
    url = f"sqlite+aiosqlite:///{store}"
    command = [sys.executable, "-u", "-m", "callboard", "demo", "--store", url, "--pace", "0.02"]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            said.append(line)
            if until is not None and until in line:
                process.send_signal(end)
                until = None
    return process.returncode, "".join(said)


@pytest.mark.parametrize("moment", ['"chapter": 3', '"chapter": 8', "kill -9"])
def test_the_durable_demo_goes_on_where_it_was_killed(tmp_path, moment):
    code, _ = play(tmp_path / "demo.db", until=moment)
    assert code == -signal.SIGKILL

    code, said = play(tmp_path / "demo.db", until="Understudy #5")
    assert code == -signal.SIGKILL
    code, said = play(tmp_path / "demo.db")

    assert "Going on" in said
    assert said.splitlines()[-1] == "demo: 7 of 7 claims held"
    assert code == 0


def test_the_durable_demo_stops_in_order_when_it_is_told_to(tmp_path):
    code, said = play(tmp_path / "demo.db", until='"chapter": 2', end=signal.SIGTERM)
    assert code == 130
    assert said.splitlines()[-1].startswith("demo: stopped")

    code, said = play(tmp_path / "demo.db")

    assert "Three novels" in said, "what was aborted in order is not taken up again"
    assert code == 0
