"""OS threads that go on one line at a time, in an order that a picker decides.

Exactly one of them holds the baton and executes; before each line of the files that are
looked at it may have to hand the baton on. So every race between those lines is a decision,
and a picker can draw the decisions from a seed or try all of them.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .awaits import described_line
from .simulated.choices import Picker
from .virtual_time import Stuck

_PATIENCE = 10.0
"""Real seconds that one line may take, before it is said to wait for another OS thread."""

Ready = Callable[[], object]


class Step(NamedTuple):
    """What an OS thread does next, if it is its turn."""

    name: str
    """The thread's."""
    touches: frozenset[str] | None
    """The attributes that its line names; `None`: it may be anything."""


Choose = Callable[[Sequence[Step]], int]
"""Says which of several steps comes next."""


class _Ended(BaseException):
    """The others are stuck: ends an OS thread where it stands."""


@dataclass(slots=True, eq=False)
class _Runner:
    """One OS thread."""

    name: str
    work: Callable[[], None]
    ready: Ready | None = None
    """What it waits for."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held by nobody in particular; released when it is handed the baton."""
    line: tuple[CodeType, int] | None = None
    """What it executes next; `None`: something at which nobody looks."""
    error: BaseException | None = None
    over: bool = False

    def __post_init__(self) -> None:
        self.turn.acquire()

    def wake(self) -> None:
        """Hand it the baton; nothing if it has been."""
        if self.turn.locked():
            self.turn.release()

    def step(self) -> Step:
        """What it does next. Lines at which nobody looks touch nothing that is shared."""
        if self.ready is not None:
            return Step(self.name, None)
        return Step(self.name, frozenset() if self.line is None else _touched(*self.line))

    def __str__(self) -> str:
        where = "somewhere else" if self.line is None else described_line(*self.line)
        return f"{self.name}: {where}"


class Interleaver:
    """Runs functions in OS threads of their own, of which one executes at a time.

    It is a simple baton: a thread that waited for a lock of another one would hold the baton
    meanwhile, and never get the lock. So it is for code without locks, such as
    `kernel/inbound.py`; what blocks is told within seconds, as an error.

    Args:
        choose: decides before each line who goes on.
        files: the source files whose lines count, as `module.__file__` names them.
        opcodes: have it decide before each bytecode of those files instead.

    """

    def __init__(self, choose: Choose, files: Sequence[str], *, opcodes: bool = False) -> None:
        self._choose = choose
        self._files = frozenset(files)
        self._opcodes = opcodes
        self._runners: list[_Runner] = []
        self._current: _Runner
        self._all_over = threading.Event()
        self._stuck: str | None = None
        self._executed: list[tuple[str, CodeType, int]] = []

    def run(self, **works: Callable[[], None]) -> None:
        """Run them all to their ends.

        Args:
            works: the functions, by the names of their OS threads.

        Raises:
            BaseException: what one of them raised.
            Stuck: all that are left wait for something, or one waits for a lock.

        """
        self._runners = [_Runner(name, work) for name, work in works.items()]
        threads = [
            threading.Thread(target=self._live, args=[runner], name=runner.name, daemon=True)
            for runner in self._runners
        ]
        for thread in threads:
            thread.start()
        self._pass_on()
        seen = -1
        while not self._all_over.wait(_PATIENCE):
            if len(self._executed) == seen:
                self._give_up(f"'{self._current.name}' has not left its line for {_PATIENCE:g} s")
                break
            seen = len(self._executed)
        else:
            for thread in threads:
                thread.join()
        for runner in self._runners:
            if runner.error is not None:
                raise runner.error
        if self._stuck is not None:
            raise Stuck(self._stuck)

    def wait(self, ready: Ready) -> None:
        """Have the calling thread wait until something is the case.

        Args:
            ready: asked whenever somebody else may go on; must have no effects.

        """
        runner = self._current
        runner.ready, runner.line = ready, None
        self._hand_over(runner)
        runner.ready = None

    @property
    def log(self) -> list[str]:
        """Each line, in the order of execution, and who executed it."""
        return [f"{name}: {described_line(code, line)}" for name, code, line in self._executed]

    # On the OS threads.

    def _live(self, runner: _Runner) -> None:
        runner.turn.acquire()
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            if self._stuck is None:
                runner.work()
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            runner.error = error
        finally:
            sys.settrace(before)
            runner.over = True
            self._pass_on()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """Called by Python when a function begins: whether its lines are looked at."""
        if frame.f_code.co_filename not in self._files:
            return None
        if self._opcodes:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._trace_line if event == "call" else None

    def _trace_line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event in {"line", "opcode"}:
            runner = self._current
            runner.line = frame.f_code, frame.f_lineno
            self._hand_over(runner)
            self._executed.append((runner.name, *runner.line))
        return self._trace_line

    def _hand_over(self, runner: _Runner) -> None:
        """Let somebody go on, and come back when it is this one's turn."""
        if self._stuck is None and self._pick() is not runner:
            self._current.wake()
            runner.turn.acquire()
        if self._stuck is not None:
            raise _Ended

    def _pass_on(self) -> None:
        """Let somebody go on; this thread will not."""
        if all(runner.over for runner in self._runners):
            self._all_over.set()
        elif self._stuck is None:
            self._pick().wake()

    def _pick(self) -> _Runner:
        able = [
            runner
            for runner in self._runners
            if not runner.over and (runner.ready is None or runner.ready())
        ]
        if able:
            self._current = able[self._choose([runner.step() for runner in able])]
        else:
            self._give_up("everybody waits for somebody else")
        return self._current

    def _give_up(self, why: str) -> None:
        self._stuck = "\n".join(
            [
                f"{why}:",
                *(f"  {runner}" for runner in self._runners if not runner.over),
            ]
        )
        for runner in self._runners:
            runner.wake()


Scene = Callable[[Interleaver], None]
"""Makes fresh state, lets the interleaver run threads on it, and checks it."""


@dataclass(slots=True)
class _Node:
    """A decision, and what became of it so far."""

    able: dict[str, frozenset[str] | None]
    asleep: dict[str, frozenset[str] | None]
    """Steps that would only lead to an order that was played, or an equivalent one."""
    choice: str = ""

    def open(self) -> list[str]:
        """What is still to be tried."""
        return [name for name in self.able if name not in self.asleep]


class EveryOrder:
    """Chooses differently each time, until every order has been played (depth first).

    Two steps that touch nothing in common lead to the same, whichever comes first; of such
    orders one is played (sleep sets; Godefroid 1996). Steps touch what the attributes in
    their lines name; so what threads share must be in attributes, not in globals.
    """

    def __init__(self) -> None:
        self._nodes: list[_Node] = []
        self._depth = 0
        self._redundant = False

    def choose(self, steps: Sequence[Step]) -> int:
        """The next decision of this round."""
        if self._redundant:
            return 0
        if self._depth == len(self._nodes):
            able = dict(steps)
            node = _Node(able, self._inherited(able))
            if not node.open():
                self._redundant = True
                return 0
            node.choice = node.open()[0]
            self._nodes.append(node)
        self._depth += 1
        return [step.name for step in steps].index(self._nodes[self._depth - 1].choice)

    def _inherited(self, able: dict[str, frozenset[str] | None]) -> dict[str, Any]:
        if not self._nodes:
            return {}
        above = self._nodes[-1]
        done = above.able[above.choice]
        return {
            name: touched
            for name, touched in above.asleep.items()
            if name in able and _independent(touched, done)
        }

    def more(self) -> bool:
        """Turn to the next order. Returns whether there is one."""
        while self._nodes:
            node = self._nodes[-1]
            node.asleep[node.choice] = node.able[node.choice]
            if node.open():
                node.choice = node.open()[0]
                break
            self._nodes.pop()
        self._depth, self._redundant = 0, False
        return bool(self._nodes)


def _independent(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    return one is not None and other is not None and one.isdisjoint(other)


@cache
def _touched(code: CodeType, line: int) -> frozenset[str]:
    """The attributes that a line of a function names."""
    found, at = set(), 0
    for instruction in dis.get_instructions(code):
        at = instruction.starts_line or at
        if at == line and instruction.opname.endswith(("_ATTR", "_METHOD")):
            found.add(str(instruction.argval))
    return frozenset(found)


def every_interleaving(scene: Scene, files: Sequence[str]) -> int:
    """Play a scene in each order of lines, but for orders that cannot make a difference.

    Args:
        scene: makes fresh state, runs threads on it, and checks it. But for the order it
            must do the same each time.
        files: whose lines count.

    Returns:
        how many orders were played.

    Raises:
        BaseException: what the scene raised first; the lines that led to it are its note.

    """
    order, played, more = EveryOrder(), 0, True
    while more:
        _play(scene, Interleaver(order.choose, files))
        played += 1
        more = order.more()
    return played


def some_interleaving(
    scene: Scene, files: Sequence[str], picker: Picker, *, opcodes: bool = False
) -> None:
    """Play a scene in one order.

    Args:
        scene: makes fresh state, runs threads on it, and checks it.
        files: whose lines count.
        picker: decides the order.
        opcodes: have it decide before each bytecode, not only before each line.

    Raises:
        BaseException: what the scene raised; the lines that led to it are its note.

    """

    def choose(steps: Sequence[Step]) -> int:
        return picker.below(len(steps)) if len(steps) > 1 else 0

    _play(scene, Interleaver(choose, files, opcodes=opcodes))


def _play(scene: Scene, threads: Interleaver) -> None:
    try:
        scene(threads)
    except BaseException as error:
        error.add_note("\n".join(["lines in the order of execution:", *threads.log[-200:]]))
        raise
