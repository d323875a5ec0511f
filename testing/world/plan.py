"""What a seed stands for: who does what, when, and what may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..simulated.choices import Choices
from ..simulated.turbulence import KINDS
from .commands import (
    Cancel,
    ChangeThread,
    Close,
    Command,
    Create,
    DeleteThread,
    Die,
    Erase,
    Follow,
    LookAtThread,
    Operate,
    RecordThread,
    StopThread,
    Wait,
)

_STRATEGIES = ("reject", "interrupt", "rollback", "enqueue", "enqueue")
_AGENTS = ("act", "act", "flow", "flaky")
_LONGEST = 20.0
"""Seconds over which most commands are spread."""
_ONE_IN = 6
"""Of so many seeds, one has whole threads recorded and deleted, and runs forgotten."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A simulation, but for the order in which things happen.

    Args:
        seed: decides the order, and where faults strike.
        commands: what callers do, by time.
        kinds: the faults that may strike, and the probability of each.
        observer: seconds that a required observer takes for an event; `None` without one.

    """

    seed: int
    commands: tuple[Command, ...]
    kinds: dict[str, float]
    observer: float | None = None

    @classmethod
    def of(cls, seed: int) -> Plan:
        """The plan that a seed stands for."""
        choices = Choices(seed, "plan")
        threads = [f"t{number}" for number in range(1, choices.below(3) + 2)]
        runs = 2 + choices.below(8)
        created = [_create(choices, key, threads) for key in range(runs)]
        commands: list[Command] = [*created]
        for _ in range(choices.below(2 * runs) + 2):
            commands += _others(choices, created, threads)
        commands += [
            each for create in created if create.leaves for each in _readers(choices, create)
        ]
        for _ in range(choices.weighted([(5, 0), (3, 1), (1, 2)])):
            commands.append(_death(choices))
        if seed % _ONE_IN == _ONE_IN // 2:
            commands = _with_threads(Choices(seed, "threads"), commands, threads)
        return cls(
            seed,
            tuple(sorted(commands, key=lambda command: command.at)),
            _faults(choices),
            _pace(choices) if choices.happens(0.15) else None,
        )

    def __str__(self) -> str:
        faults = ", ".join(self.kinds) or "none"
        lines = [f"seed {self.seed}; faults that may strike: {faults}"]
        if self.observer is not None:
            lines.append(f"with a required observer, which takes {self.observer:g} seconds")
        return "\n".join(lines + [f"  {command}" for command in self.commands])


def _faults(choices: Choices) -> dict[str, float]:
    """Mostly a few kinds: what all of them break together tells little."""
    if choices.happens(0.25):
        return {}
    if choices.happens(0.15):
        return dict(KINDS)
    kinds = list(KINDS)
    chosen = {choices.among(kinds) for _ in range(1 + choices.below(3))}
    return {kind: KINDS[kind] * choices.among((1, 1, 4)) for kind in kinds if kind in chosen}


def _pace(choices: Choices) -> float:
    """Seconds; each other observer needs none."""
    return choices.between(0.0, 1.0) if choices.happens(0.5) else 0.0


def _moment(choices: Choices) -> float:
    """Often the same one as others': races need company."""
    if choices.happens(0.4):
        return float(choices.below(4))
    return choices.between(0.0, _LONGEST)


def _create(choices: Choices, key: int, threads: list[str]) -> Create:
    scope = choices.weighted([(9, "stateful"), (1, "stateless"), (1, "temporary_thread")])
    return Create(
        at=_moment(choices),
        key=key,
        thread=f"temporary{key}" if scope == "temporary_thread" else choices.among(threads),
        scope=scope,
        agent=choices.among(_AGENTS),
        strategy=choices.among(_STRATEGIES),
        script=script(choices),
        named=choices.weighted([(3, None), (1, "run_id"), (1, "key")]),
        resumable=choices.happens(0.4),
        leaves=choices.happens(0.2),
        after=choices.between(0.5, 5.0) if choices.happens(0.15) else 0.0,
        timeout=choices.between(0.5, 6.0) if choices.happens(0.15) else None,
        patience=choices.between(0.0, 0.3) if choices.happens(0.08) else None,
    )


def script(choices: Choices) -> dict[str, Any]:
    """What an agent does, in order, and how it takes an abort."""
    steps = [_step(choices) for _ in range(choices.below(6))]
    ending = choices.weighted([(8, None), (2, "raise"), (0.5, "cancel itself")])
    if ending is not None:
        steps.append([ending])
    return {
        "steps": steps,
        "unwind": choices.between(0.0, 2.0) if choices.happens(0.4) else 0.0,
        "stubborn": choices.between(1.0, 12.0) if choices.happens(0.2) else 0.0,
        "defiant": choices.happens(0.5),
    }


def _step(choices: Choices) -> list[Any]:
    kind = choices.weighted(
        [(4, "sleep"), (4, "say"), (2, "save"), (2, "tell"), (2, "yield"), (1, "spend")]
    )
    if kind == "sleep":
        return [kind, choices.between(0.0, 4.0)]
    if kind == "say":
        return [kind, choices.weighted([(8, 1 + choices.below(4)), (1, 300)])]
    return [kind]


def _readers(choices: Choices, create: Create) -> list[Command]:
    """Of a run that ends with its last reader: what each does matters to the others."""
    return [
        Follow(
            at=create.at + choices.between(0.0, 1.0),
            of=create.key,
            leave_after=choices.below(4) if choices.happens(0.6) else None,
        )
        for _ in range(choices.below(4))
    ]


def _others(choices: Choices, created: list[Create], threads: list[str]) -> list[Command]:
    """Often soon after the creation of the run that it is about."""
    of = choices.below(len(created))
    soon = choices.happens(0.5)
    at = created[of].at + choices.between(0.0, 4.0) if soon else _moment(choices)
    verb = choices.weighted(
        [(6, "cancel"), (5, "follow"), (4, "wait"), (4, "operate"), (1, "erase"), (2, "stop")]
    )
    match verb:
        case "cancel":
            action = choices.among(("interrupt", "rollback"))
            return [Cancel(at=at, of=of, action=action, wait=choices.happens(0.5))]
        case "follow":
            leave = choices.below(6) if choices.happens(0.3) else None
            return [Follow(at=at, of=of, leave_after=leave)]
        case "wait":
            patience = choices.between(0.0, 3.0) if choices.happens(0.3) else None
            return [Wait(at=at, of=of, patience=patience)]
        case "operate":
            at = created[of].at + choices.between(0.0, 4.0)
            verb, later = choices.among(("fail", "restart")), at + choices.between(0.0, 6.0)
            again = Cancel(at=later, of=of, action="interrupt", wait=False)
            return [Operate(at=at, of=of, verb=verb), *[again] * choices.below(2)]
        case "erase":
            return [Erase(at=at + 10.0, of=of)]
        case _:
            return [StopThread(at=at, thread=choices.among(threads))]


def _death(choices: Choices) -> Command:
    at = _moment(choices)
    if choices.happens(0.25):
        return Close(at=at, timeout=choices.between(0.0, 6.0))
    return Die(at=at, steps=choices.below(200), down=choices.between(0.0, 10.0))


# Whole threads. Drawn from choices of their own: other plans do not depend on them.


def _with_threads(choices: Choices, commands: list[Command], threads: list[str]) -> list[Command]:
    """The same commands, what is done to whole threads, and runs that leave no record."""
    shared = choices.happens(0.4)
    changed = [_changed(choices, command, shared=shared) for command in commands]
    created = [command for command in changed if isinstance(command, Create)]
    more = choices.below(7) if shared else 0
    changed += [_another(choices, created) for _ in range(more)]
    for _ in range(choices.below(4)):
        changed += _deletion(choices, created)
    for number in range(choices.below(5)):
        thread = choices.among([*threads, "bare", "shared"])
        verb = choices.among(("create", "create", "update"))
        at = _moment(choices)
        changed.append(RecordThread(at=at, thread=thread, verb=verb, number=number))
        later = at + choices.between(0.0, 8.0)
        changed.append(LookAtThread(at=later, thread=thread))
    if choices.happens(0.15):
        changed.append(DeleteThread(at=_moment(choices), thread="bare"))
    for create in created:
        if create.forget and choices.happens(0.5):
            at = create.at + choices.between(0.0, 4.0)
            again = Cancel(at=at, of=create.key, action="rollback", wait=choices.happens(0.5))
            changed.append(again)
    if choices.happens(0.3):
        timeout = choices.between(0.0, 3.0)
        changed.append(Close(at=_moment(choices), timeout=timeout, hand_over=True))
    for _ in range(choices.below(4)):
        create = choices.among(created)
        at, takes = create.at + choices.between(0.0, 4.0), choices.between(0.0, 2.0)
        changed.append(ChangeThread(at=at, thread=create.thread, takes=takes))
    return changed


def _changed(choices: Choices, command: Command, *, shared: bool) -> Command:
    """Some runs are forgotten; if `shared`, some are on one temporary thread."""
    if isinstance(command, Close):
        return replace(command, hand_over=choices.happens(0.5))
    if not isinstance(command, Create):
        return command
    command = replace(command, forget=choices.happens(0.5))
    if shared and choices.happens(0.5):
        command = replace(command, thread="shared", scope="temporary_thread")
    if choices.happens(0.1):  # what it is refused for, unless it is the first there
        return replace(command, scope=choices.among(("stateful", "temporary_thread")))
    return command


def _another(choices: Choices, created: list[Create]) -> Create:
    """One more run on the shared temporary thread, about when another one is there."""
    create = _create(choices, len(created), ["shared"])
    at = choices.among(created).at + choices.between(0.0, 2.0)
    create = replace(create, at=at, thread="shared", scope="temporary_thread")
    created.append(create)
    return create


def _deletion(choices: Choices, created: list[Create]) -> list[Command]:
    """Often soon after a run was created there, and often in the company of other creations."""
    create = choices.among(created)
    soon = choices.happens(0.7)
    at = create.at + choices.between(0.0, 4.0) if soon else _moment(choices)
    deletions: list[Command] = [DeleteThread(at=at, thread=create.thread)]
    if choices.happens(0.2):
        deletions.append(DeleteThread(at=at + choices.between(0.0, 2.0), thread=create.thread))
    for _ in range(choices.below(4)):
        company = _create(choices, len(created), [create.thread])
        later = choices.between(0.0, 2.0) if choices.happens(0.6) else 0.0
        forget = choices.happens(0.3)
        company = replace(
            company, at=at + later, thread=create.thread, scope=create.scope, forget=forget
        )
        created.append(company)
        deletions.append(company)
    return deletions
