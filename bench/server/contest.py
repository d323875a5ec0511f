"""The three servers in turns, load by load."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from . import loads
from .peer import dev
from .process import Server, machine_cpu, started

OURS, PEER, MEMORY = "ours", "peer", "memory"

Load = Callable[[Server, int], Awaitable[loads.Samples]]

LATENCIES: tuple[Load, ...] = (
    loads.waits_on_one_thread,
    loads.stateless_waits,
    loads.first_events,
)


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Args:
        version: the peer's.
        others: the CPUs that were busy, on average, with what is no part of the contest.
        samples: by server and name, those of each round.

    """

    version: str
    others: float = 0.0
    samples: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)

    def add(self, server: str, samples: loads.Samples) -> None:
        """Keep the samples of one round."""
        for name, values in samples.items():
            self.samples.setdefault((server, name), []).append(values)

    def pooled(self, server: str, name: str) -> list[float]:
        """The samples of all rounds, sorted."""
        return sorted(value for values in self.samples[server, name] for value in values)

    def times(self, name: str) -> float:
        """How often ours goes into the peer's: the median of the rounds' medians' ratios."""
        pairs = zip(self.samples[OURS, name], self.samples[PEER, name], strict=True)
        return median(median(theirs) / median(mine) for mine, theirs in pairs)


@dataclass(frozen=True, slots=True)
class Contest:
    """Who competes, and how much is asked of them.

    Args:
        folder: where each server gets one of its own.
        commands: what starts each.
        scale: 1.0 for everything.

    """

    folder: Path
    commands: Mapping[str, Sequence[str]]
    scale: float

    async def speed(self) -> Outcome:
        """Have each server carry every load in each round."""
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(started(self.folder / name, command))
                for name, command in self.commands.items()
            }
            outcome = Outcome(servers[PEER].version)
            for server in servers.values():
                await loads.warm_up(server)
            began, before = perf_counter(), _others(servers)
            for number in range(5 if self.scale >= 1 else 2):
                await self._round(servers, outcome, number)
            outcome.others = (_others(servers) - before) / (perf_counter() - began)
        return outcome

    async def _round(self, servers: dict[str, Server], outcome: Outcome, number: int) -> None:
        """Each load on each server, another one first each time."""
        order = list(servers)[number % 3 :] + list(servers)[: number % 3]
        for load in LATENCIES:
            for name in order:
                # Of the peer each takes a second.
                count = max(4, int((12 if name == PEER else 100) * self.scale))
                outcome.add(name, await load(servers[name], count))
        for load, count in ((loads.throughput, 200), (loads.frames, 10_000)):
            for name in order:
                outcome.add(name, await load(servers[name], max(50, int(count * self.scale))))

    async def memory(self, outcome: Outcome) -> None:
        """See how each server grows, one after the other, started anew."""
        for name, command in self.commands.items():
            async with started(self.folder / f"{name}-memory", command) as server:
                outcome.add(name, {"resident": [server.resident() / 1000]})
                await loads.warm_up(server)
                outcome.add(name, await loads.idle_threads(server, 2000))
                runs = max(200, int(1000 * self.scale))
                await loads.kept_runs(server, runs)  # who keeps some only, keeps them now
                outcome.add(name, await loads.kept_runs(server, runs))


def contest(folder: Path, langgraph: Path, jobs: int, scale: float) -> Contest:
    """Ours with a store, the peer, and ours in memory."""
    serve = (sys.executable, "-m", "callboard", "serve", "--log-level", "warning")
    stored = (*serve, "--store", "sqlite+aiosqlite:///runs.db")
    return Contest(folder, {OURS: stored, PEER: dev(langgraph, jobs), MEMORY: serve}, scale)


def _others(servers: dict[str, Server]) -> float:
    """The seconds of CPU that others have used so far."""
    return machine_cpu() - process_time() - sum(server.cpu() for server in servers.values())
