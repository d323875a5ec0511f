"""Many threads, mixed strategies, random aborts: the rules, checked while it runs."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from callboard import ConflictError, RunContext, RunSnapshot, Runtime, Settings
from callboard.kernel import Entropy, KernelOptions

STRATEGIES = ("reject", "interrupt", "rollback", "enqueue", "enqueue")
ENDS = frozenset({"run_completed", "run_failed", "run_cancelled"})


@dataclass
class Referee:
    """Notes what agents do, and what breaks a rule."""

    executing: dict[str, str] = field(default_factory=dict)
    started: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    violations: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    accepted: list[RunSnapshot] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def broken(self, rule: str) -> None:
        """A rule was broken."""
        self.violations.append(rule)


def _agent(referee: Referee, chance: random.Random) -> Any:
    async def agent(run: RunContext) -> None:
        other = referee.executing.get(run.thread_id)
        if other is not None:
            referee.broken(f"two at once on {run.thread_id}: {other}, {run.run_id}")
        referee.executing[run.thread_id] = run.run_id
        referee.started[run.thread_id].append(run.run_id)
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            if chance.random() < 0.1:
                raise ValueError("an agent's own error")
        finally:
            try:
                for _ in range(chance.randrange(3)):
                    await asyncio.sleep(0)
            finally:
                del referee.executing[run.thread_id]

    return agent


async def _converse(
    runtime: Runtime, referee: Referee, chance: random.Random, thread: str, runs: int
) -> None:
    for _ in range(runs):
        began = time.perf_counter()
        try:
            strategy: Any = chance.choice(STRATEGIES)
            run = await runtime.create_run(thread, "agent", multitask_strategy=strategy)
        except ConflictError:
            referee.refused[thread] += 1
            continue
        referee.latencies.append(time.perf_counter() - began)
        referee.accepted.append(run)
        if chance.random() < 0.2:
            action: Any = chance.choice(("interrupt", "rollback"))
            await runtime.cancel(run.run_id, action, wait=chance.random() < 0.3)
        if chance.random() < 0.3:
            await runtime.wait(run.run_id)


async def _check(runtime: Runtime, referee: Referee, threads: Iterable[str]) -> None:
    """The rules that can be seen at the end."""
    by_thread: defaultdict[str, list[str]] = defaultdict(list)
    for run in referee.accepted:
        by_thread[run.thread_id].append(run.run_id)
    for thread in threads:
        status = await runtime.thread_status(thread)
        if status == "busy":
            referee.broken(f"{thread} is busy at the end")
        stored = {run.run_id for run in await runtime.list_runs(thread, limit=1000)}
        if stored != set(by_thread[thread]):
            referee.broken(f"{thread} has other runs than were accepted")
        order = [run for run in by_thread[thread] if run in set(referee.started[thread])]
        if order != referee.started[thread]:
            referee.broken(f"{thread} did not start its runs in the order they came")
    for run in referee.accepted:
        await _check_run(runtime, referee, run)


async def _check_run(runtime: Runtime, referee: Referee, run: RunSnapshot) -> None:
    result = await runtime.wait(run.run_id)
    if not result.status.is_terminal:
        referee.broken(f"{run.run_id} has not ended")
    events = await runtime.list_events(run.thread_id, run.run_id)
    lifecycle = [event for event in events if event.category == "lifecycle"]
    if [event.sequence for event in lifecycle] != list(range(1, len(lifecycle) + 1)):
        referee.broken(f"{run.run_id} has gaps in its sequence")
    if sum(event.event_type in ENDS for event in lifecycle) != 1:
        referee.broken(f"{run.run_id} did not end exactly once")


async def play(seed: int, threads: int, runs: int) -> tuple[Referee, float]:
    """One seed. Returns what was seen, and runs a second."""
    chance, referee = random.Random(seed), Referee()
    settings = Settings(keep_streams=100, drain_timeout=60.0)
    kernel = KernelOptions(entropy=Entropy(seed))
    agents = {"agent": _agent(referee, chance)}
    names = [f"t{number}" for number in range(threads)]
    async with Runtime(agents, settings=settings, kernel=kernel) as runtime:
        began = time.perf_counter()
        await asyncio.gather(
            *(_converse(runtime, referee, chance, name, runs // threads) for name in names)
        )
        for run in referee.accepted:
            await runtime.wait(run.run_id)
        seconds = time.perf_counter() - began
        await _check(runtime, referee, names)
    return referee, (len(referee.accepted) + referee.refused.total()) / seconds


def main(seeds: Iterable[int], threads: int, runs: int) -> int:
    """Play the seeds and print what was seen. Returns 1 if a rule was broken."""
    total = 0
    print(f"stress: {threads:,} threads, {runs:,} creates a seed")
    for seed in seeds:
        referee, rate = asyncio.run(play(seed, threads, runs))
        quantiles = statistics.quantiles(referee.latencies, n=100)
        total += len(referee.violations)
        print(
            f"  seed {seed}: {len(referee.accepted):,} accepted, "
            f"{referee.refused.total():,} refused, {rate:,.0f} creates/s, admission "
            f"p50 {quantiles[49] * 1e3:.1f} ms p99 {quantiles[98] * 1e3:.1f} ms, "
            f"violations {len(referee.violations)}",
            flush=True,
        )
        for violation in referee.violations[:5]:
            print(f"    {violation}")
    print(f"stress: violations {total}")
    return 1 if total else 0
