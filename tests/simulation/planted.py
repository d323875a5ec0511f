"""Plant bugs in callboard, and see how soon the simulator finds them.

python -m tests.simulation.planted [WORD …]     the table, of those with a word in their name
python -m tests.simulation.planted --record     and note the seeds, for the test
"""

from __future__ import annotations
import __future__

import argparse
import ast
import inspect
import itertools
import json
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import CodeType, FunctionType

from callboard.testing import Plan, Report, World, shrink
from callboard.testing.simulation import no_collection
from callboard.testing.soak import be_quiet
from tests.simulation.slips import SLIPS, Slip

RECORD = Path(__file__).with_name("planted.json")
"""A seed for each bug under which it shows, so that the test need not search for one."""
LONGEST = 60.0
"""Seconds that a bug may stay hidden."""
ROW = "{:47} {:>6} {:>8} {:>9}  {}"


class DoesNotApply(Exception):
    """The function has changed: the slip is to be written anew."""


@contextmanager
def planted(slip: Slip) -> Iterator[None]:
    """Callboard with a bug.

    Raises:
        DoesNotApply: what it changes is not there, or not once.

    """
    edits: dict[FunctionType, list[tuple[str, str]]] = {}
    for function, right, wrong in slip.edits:
        edits.setdefault(function, []).append((right, wrong))
    with ExitStack() as stack:
        for function, changes in edits.items():
            stack.enter_context(_changed(function, changes))
        yield


@contextmanager
def _changed(function: FunctionType, changes: list[tuple[str, str]]) -> Iterator[None]:
    """Swap a function's code: whoever holds the function, has the bug, and then no more."""
    right = function.__code__
    function.__code__ = _edited(function, changes)
    try:
        yield
    finally:
        function.__code__ = right


def _edited(function: FunctionType, changes: list[tuple[str, str]]) -> CodeType:
    lines, first = inspect.getsourcelines(function)
    source = textwrap.dedent("".join(lines))
    for right, wrong in changes:
        if source.count(right) != 1:
            raise DoesNotApply(f"{function.__qualname__} has {source.count(right)} times {right!r}")
        source = source.replace(right, wrong or "pass")
    tree = ast.increment_lineno(ast.parse(source), first - 1)
    flags = __future__.annotations.compiler_flag
    module = compile(tree, function.__code__.co_filename, "exec", flags, dont_inherit=True)
    return next(each for each in module.co_consts if isinstance(each, CodeType))


def search(seeds: Iterable[int], seconds: float) -> tuple[int, Report | None]:
    """Simulate until a promise is broken, or time is up.

    Returns:
        how many seeds that took, and the report of the last one.

    """
    tried, report = 0, None
    deadline = time.monotonic() + seconds
    for seed in seeds:
        with no_collection():
            found = World(Plan.of(seed)).run()
        tried += 1
        if not found.ok:
            report = found
        if report is not None or time.monotonic() > deadline:
            break
    return tried, report


def recorded() -> dict[str, int]:
    """The noted seed of each bug, by its name."""
    seeds: dict[str, int] = json.loads(RECORD.read_text())
    return seeds


def main() -> int:
    """Print the table. Returns 1 if a bug was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted")
    parser.add_argument("words", nargs="*", help="only bugs with one of them in their names")
    parser.add_argument("--record", action="store_true", help="note the seeds for the test")
    options = parser.parse_args()
    be_quiet()
    seeds: dict[str, int] = {}
    print(ROW.format("planted bug", "seeds", "seconds", "commands", "promise that was broken"))
    chosen = [s for s in SLIPS if not options.words or any(w in s.name for w in options.words)]
    for slip in chosen:
        with planted(slip):
            began = time.monotonic()
            tried, report = search(itertools.count(), LONGEST)
            took = f"{time.monotonic() - began:.1f}"
            if report is None:
                print(ROW.format(slip.name, tried, took, "", "NOT FOUND"), flush=True)
                continue
            smallest = shrink(report)
        seeds[slip.name] = report.plan.seed
        left, rule = len(smallest.plan.commands), report.violations[0].rule
        print(ROW.format(slip.name, tried, took, left, rule), flush=True)
    if options.record:
        kept = (recorded() if RECORD.exists() else {}) | seeds
        names = {slip.name for slip in SLIPS}
        kept = {name: seed for name, seed in sorted(kept.items()) if name in names}
        RECORD.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"{len(seeds)} of {len(chosen)} found")
    return 0 if len(seeds) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
