"""Real child processes, from their birth to the moment they are killed."""

import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
"""Real seconds after which a child that should say something counts as stuck."""


def url_of(path):
    return f"sqlite+aiosqlite:///{path}"


class Child:
    """A process under test: `kill()` it, or read its lines. All it says is in `said`."""

    def __init__(self, process):
        self._process = process
        self.pid = process.pid
        self.said = []

    def hear(self, count):
        """Wait for that many more lines."""
        lines = [json.loads(line) for line in itertools.islice(self._process.stdout, count)]
        self.said += lines
        assert len(lines) == count, f"the child ended, or was stuck, after {self.said[-3:]}"

    def answer(self):
        """The one line it says before it ends."""
        self.hear(1)
        self._process.wait()
        return self.said[-1]

    def kill(self):
        """Kill it with SIGKILL and hear what it had said by then."""
        self._process.kill()
        self.said += [json.loads(line) for line in self._process.stdout]
        assert self._process.wait() == -signal.SIGKILL


@contextlib.contextmanager
def child(module, *arguments):
    """Run `tests/faults/<module>.py` as a process of its own; it does not outlive the block."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.faults.{module}", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
        )
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        try:
            yield Child(process)
        except AssertionError as failure:
            errors.seek(0)
            failure.add_note(errors.read().decode()[-4000:])
            raise
        finally:
            guard.cancel()
            process.kill()
            process.communicate()


def live(url, durability, seed, acknowledgements):
    """One life under load, killed when it has got so many acknowledgements: all it got."""
    with child("child", url, durability, seed) as living:
        living.hear(acknowledgements)
        living.kill()
    return living.said
