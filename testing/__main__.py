"""`python -m callboard.testing`: simulate the runtime itself.

soak --minutes N [--seed S] [--jobs J]     fresh seeds, as long as there is time
seed N [--trace]                           one seed again; shrunk, if it breaks a promise
exhaustive [--minutes N]                   every order in small worlds, and in larger ones
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from math import inf, nan

from .exhaustive import explore_all
from .soak import Totals, be_quiet, soak
from .world import Plan, World, shrink

_TELL_EVERY = 60.0
"""Seconds between two lines of a soak."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command.

    Returns:
        1 if a promise was broken.

    Raises:
        SystemExit: with status 2, if an argument cannot be used.

    """
    parser = argparse.ArgumentParser(
        prog="python -m callboard.testing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    long = commands.add_parser("soak", help="simulate fresh seeds")
    long.add_argument("--minutes", type=_minutes, default=2.0, help="how long (%(default)g)")
    long.add_argument("--seed", type=int, default=None, help="the first; a fresh one by default")
    long.add_argument("--jobs", type=_jobs, default=None, help="processes; one a core by default")
    one = commands.add_parser("seed", help="simulate one seed again")
    one.add_argument("seed", type=int)
    one.add_argument("--trace", action="store_true", help="show who said what to whom")
    small = commands.add_parser("exhaustive", help="walk through small worlds completely")
    small.add_argument("--minutes", type=_minutes, default=2.0, help="how long (%(default)g)")
    options = parser.parse_args(arguments)
    be_quiet()
    if options.command == "exhaustive":
        return _exhaustive(options.minutes * 60.0)
    if options.command == "seed":
        return _seed(options.seed, trace=options.trace)
    first = secrets.randbits(40) if options.seed is None else options.seed
    return _soak(options.minutes * 60.0, first, options.jobs)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = nan
    if not 0 < minutes < inf:
        raise argparse.ArgumentTypeError(f"'{text}': give a number of minutes, more than 0")
    return minutes


def _jobs(text: str) -> int:
    try:
        jobs = int(text)
    except ValueError:
        jobs = 0
    if jobs < 1:
        raise argparse.ArgumentTypeError(f"'{text}': give a whole number, 1 or more")
    return jobs


def _seed(seed: int, *, trace: bool) -> int:
    report = World(Plan.of(seed), None if trace else 0).run()
    if not report.ok:
        report = World(shrink(report).plan, None).run()
    print(report)
    return 0 if report.ok else 1


def _exhaustive(seconds: float) -> int:
    explored = explore_all(seconds, lambda each: print(each, flush=True))
    return 1 if any(each.violations for each in explored) else 0


def _soak(seconds: float, first: int, jobs: int | None) -> int:
    print(f"seeds from {first} on, for {seconds / 60:g} minutes", flush=True)
    said = time.monotonic()

    def tell(totals: Totals, elapsed: float) -> None:
        nonlocal said
        if time.monotonic() - said >= _TELL_EVERY:
            said = time.monotonic()
            print(f"{elapsed / 60:6.1f} min: {totals}", flush=True)

    totals = soak(seconds, first, jobs, tell)
    for kind, times in sorted(totals.faults.items()):
        print(f"{times:12,} times: {kind}")
    for rule, times in sorted(totals.checked.items()):
        print(f"{times:12,} checks: {rule}")
    print(totals)
    for seed, broken in sorted(totals.broken.items()):
        print(f"seed {seed} broke a promise: {broken}")
        print(f"    python -m callboard.testing seed {seed}")
    return 1 if totals.broken else 0


if __name__ == "__main__":
    sys.exit(main())
