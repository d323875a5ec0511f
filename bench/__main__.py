"""`python -m bench`: the table of figures, each beside its peer, measured in one run.

python -m bench [NAME …] [--quick]      kernel, admission, fanout, memory, durable, server
python -m bench stress [--seeds N]      the rules, checked under load
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

import structlog

from . import admission, durable, fanout, kernel, memory, server, stress
from .measure import HEADER

TABLES = {
    "kernel": kernel.rows,
    "admission": admission.rows,
    "fanout": fanout.rows,
    "memory": memory.rows,
    "durable": durable.rows,
    "server": server.rows,
}


async def _table(names: Sequence[str], scale: float) -> None:
    print(HEADER)
    for name in names:
        async for row in TABLES[name](scale):
            print(row, flush=True)


def main() -> int:
    """Measure. Returns 1 if the stress benchmark found a violation."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TABLES, "stress", []])
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--seeds", type=int, default=1, help="for stress: how many")
    parser.add_argument("--first-seed", type=int, default=0, help="for stress")
    parser.add_argument("--threads", type=int, default=1000, help="for stress")
    parser.add_argument("--runs", type=int, default=20_000, help="for stress")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    names = options.names or [*TABLES, "stress"]
    tables = [name for name in names if name != "stress"]
    if tables:
        asyncio.run(_table(tables, 0.1 if options.quick else 1.0))
    if "stress" not in names:
        return 0
    runs = options.runs // 10 if options.quick else options.runs
    threads = options.threads // 10 if options.quick else options.threads
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    return stress.main(seeds, threads, runs)


if __name__ == "__main__":
    sys.exit(main())
