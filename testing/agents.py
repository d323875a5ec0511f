"""Your agent, aborted at every await that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from ..actors.agents import Agent
from ..actors.executors import Workers, executor_for
from ..actors.executors.callables import FunctionExecutor
from ..actors.messages import Abort
from ..domain.commands import check_count, check_flag, check_seconds
from ..domain.enums import CancelAction, RunStatus, StopReason
from ..domain.errors import InvalidValue
from ..domain.identifiers import RunId
from ..kernel.mailbox import Envelope
from .awaits import place_of
from .simulation import Simulation, simulate

if TYPE_CHECKING:
    from ..actors.context import RunContext
    from ..actors.executors.base import AttemptOutput, Executor
    from ..actors.options import RunOptions
    from ..actors.runtime import Runtime
    from ..domain.views import RunResult
    from .simulated import SimulatedLoop

Story = Callable[[], Generator[Any, "RunResult", None]]

_MOMENT = 0.001
"""Virtual seconds in which tasks that the agent has cancelled come to their ends."""
_LOOK_EVERY = 60.0
"""Virtual seconds between two looks whether the agent waits for its abort."""

_inside: ContextVar[Case] = ContextVar("callboard_case")
"""Set in the contexts of the agent and of all that it starts."""


class Blow(NamedTuple):
    """An abort, exactly before a step of the event loop."""

    step: int
    action: CancelAction


def abort_everywhere(
    story: Story,
    *,
    twice: bool = False,
    grace: float = 30.0,
    seed: int = 0,
    longest: int = 2000,
    **options: Unpack[RunOptions],
) -> int:
    """Run an agent to its end, and then again and again, aborted at each step on its way.

    Each time in a fresh simulation, where time is virtual: an agent may sleep for hours.
    The abort comes before and after each step of the agent, and of the tasks and timers that
    it has started, once as `interrupt` and once as `rollback`: so it meets every await.
    Every time the agent must unwind within the grace and leave no task behind, and the run
    must end as aborted.

    Args:
        story: a generator function. It makes fresh state, yields the agent, is sent the
            `RunResult` when the run has ended, and checks what is to hold; the first time
            for the run that nobody aborts.
        twice: while the agent unwinds from `interrupt`, abort it also with `rollback`,
            wherever that can be.
        grace: virtual seconds that the agent may take to unwind.
        seed: decides the order in which tasks and actors go on.
        longest: moments at which the agent can be aborted, at most. It needs no end of its
            own: what waits for its abort is aborted there.
        options: of the run, as for `Runtime.create_run`: its `input` and so on.

    Returns:
        how many runs were aborted.

    Raises:
        AssertionError: something does not hold: says what, after which abort, and at which
            line the agent was waiting then.
        InvalidValue: an argument cannot be used; the story is no generator function, or
            yields no agent; or the agent is a plain function: it would need an OS thread,
            and no abort can reach into one.

    """
    check_flag(twice, "twice")
    check_seconds(grace, "grace")
    check_count(longest, "longest")

    def play(*blows: Blow) -> Case:
        case = Case(story, blows, seed, grace, longest, dict(options))
        simulate(case.live, seed=seed)
        return case

    played = 0
    for step in sorted(play().moments):
        for action in CancelAction:
            case = play(Blow(step, action))
            played += 1
            if twice and action is CancelAction.INTERRUPT:
                for later in sorted(each for each in case.moments if each > step):
                    play(Blow(step, action), Blow(later, CancelAction.ROLLBACK))
                    played += 1
    return played


class Case:
    """One run of the agent, with its aborts.

    Args:
        story: makes the agent and checks the result.
        blows: the aborts, in order.
        seed: of the simulation.
        grace: virtual seconds to unwind.
        longest: moments at most.
        options: of the run.

    """

    def __init__(
        self,
        story: Story,
        blows: tuple[Blow, ...],
        seed: int,
        grace: float,
        longest: int,
        options: Any,
    ) -> None:
        self.moments: set[int] = set()
        """The steps of the loop before which the agent could have been aborted."""
        self._story, self._blows, self._seed = story, blows, seed
        self._grace, self._longest = grace, longest
        chosen = options.get("run_id")
        self._run_id = RunId("run" if chosen is None else chosen)
        self._options = {**options, "run_id": self._run_id}
        self._to_come = list(blows)
        self._stood: list[str] = []
        """Where the agent waited at each abort."""
        self._waits = "its first line, not yet executed"
        """Where it waits, as long as what it does counts."""
        self._run: RunContext | None = None
        """While it executes."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._runtime: Runtime

    async def live(self, simulation: Simulation) -> None:
        """Play it, and hold it against what must be."""
        self._loop: SimulatedLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        story, agent = _begun(self._story)
        self._runtime = simulation.runtime({"agent": Watched(self, agent)}, abort_grace=self._grace)
        await self._runtime.start()
        self._loop.set_task_factory(self._make_task)
        self._loop.on_step = self._step
        result = await self._played()
        self._loop.on_step = None
        if result is None:
            story.close()
            return
        self._judge(result)
        try:
            story.send(result)
        except StopIteration:
            return
        except Exception as error:
            raise self._broken(str(error) or repr(error)) from error
        raise TypeError("the story yields more than once: it yields the agent, then checks")

    async def _played(self) -> RunResult | None:
        """How the run ended; `None` if its agent waits for an abort, and there is none."""
        run = await self._runtime.create_run("thread", "agent", **self._options)
        ended = asyncio.ensure_future(self._runtime.wait(run.run_id))
        while not ended.done():
            await asyncio.wait([ended], timeout=_LOOK_EVERY)
            timers: Any = self._loop._scheduled
            if not (self._blows or ended.done() or any(map(self._is_inside, timers))):
                return None
        await asyncio.sleep(_MOMENT)
        return ended.result()

    # While it is played.

    def began(self, run: RunContext) -> None:
        """The agent's first line is about to be executed."""
        _inside.set(self)
        self._run = run
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the kernel runs it in one
        self._tasks.append(task)

    def ended(self) -> None:
        """The agent's last line was executed."""
        self._run = None

    def _make_task(self, loop: Any, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._loop._make_task(loop, work, **options)
        context = options.get("context")
        if (_inside.get(None) if context is None else context.get(_inside)) is self:
            self._tasks.append(task)
        return task

    def _is_inside(self, handle: asyncio.Handle | None) -> bool:
        """Whether the agent, or something that it has started, has the loop call this."""
        if handle is None or handle.cancelled():
            return False
        return handle._context.get(_inside) is self  # type: ignore[attr-defined]

    def _step(self) -> None:
        step = self._loop.steps
        if self._is_inside(self._loop.latest):
            self._moved(step)
        if self._to_come and self._to_come[0].step == step:
            self._strike(self._to_come.pop(0).action)

    def _moved(self, step: int) -> None:
        """The step before this one was the agent's."""
        self.moments.add(step - 1)
        if self._run is not None:
            self.moments.add(step)
            if not self._run.fenced:
                self._waits = self._where()
        if len(self.moments) > self._longest:
            raise AssertionError(
                f"the agent could be aborted at more than {self._longest} moments: "
                "give it less to do, or a greater longest"
            )

    def _strike(self, action: CancelAction) -> None:
        """Have the run's actor handle the abort here and now, between two steps."""
        self._stood.append(self._waits)
        house = self._runtime._open_house()
        ref = house.registry.runs.get(self._run_id)
        if ref is None:
            return
        kernel, mailbox = house.kernel, ref.actor_inbox
        kernel.post(mailbox, Envelope(Abort(action, None, False)))
        while mailbox.system:  # one message a turn
            kernel._context.run(kernel._turn, mailbox)

    def _where(self) -> str:
        """The lines at which the agent's tasks wait, its own first."""
        return "; ".join(
            place_of(task) + (f" ({_called(task)})" if task is not self._tasks[0] else "")
            for task in self._tasks
            if not task.done()
        )

    # When it has ended.

    def _judge(self, result: RunResult) -> None:
        if result.stop_reason is StopReason.ABANDONED:
            raise self._broken(f"it still executes {self._grace:g} s after, at {self._waits}")
        left = self._where()
        if left:
            raise self._broken(f"it left tasks behind, at {left}")
        if not self._blows and result.status is not RunStatus.SUCCESS:
            raise self._broken(f"it ended as {result.status} ({result.error})")
        if self._blows and result.status is not RunStatus.INTERRUPTED:
            raise self._broken(
                f"it ended as {result.status} ({result.error}): the state before it could not "
                "be restored, or it goes another way each time (let it depend on nothing but "
                "what the story makes)"
            )

    def _broken(self, what: str) -> AssertionError:
        aborts = ", then ".join(
            f"{blow.action} before step {blow.step}, while it waited at {place}"
            for blow, place in zip(self._blows, self._stood, strict=False)
        )
        return AssertionError(f"aborted by {aborts or 'nobody'} (seed {self._seed}): {what}")


def _begun(story: Story) -> tuple[Generator[Any, RunResult, None], Any]:
    """A story that has begun, and the agent it yields.

    Raises:
        InvalidValue: it is no generator function, or yields no agent.

    """
    told: Any = story() if callable(story) else None
    if not isinstance(told, Generator):
        remedy = "give a generator function, which yields the agent and then checks the result"
        raise InvalidValue("story", story, remedy)
    try:
        return told, next(told)
    except StopIteration:
        raise InvalidValue("story", story, "have it yield the agent") from None


def _called(task: asyncio.Task[Any]) -> str:
    name = task.get_name()  # one that nobody chose is another one each time
    return "a task of it" if name.startswith("Task-") else f"its task '{name}'"


class Watched:
    """An executor that tells the case when the agent begins and ends.

    Raises:
        InvalidValue: the agent is a plain function.

    """

    def __init__(self, case: Case, agent: Any) -> None:
        agent = agent.target if isinstance(agent, Agent) else agent
        self._case = case
        self._executor: Executor = executor_for(agent, Workers(1))
        if isinstance(self._executor, FunctionExecutor):
            raise InvalidValue(
                "the story's agent",
                agent,
                "give an async one: a plain function needs an OS thread, a simulation has "
                "none, and no abort reaches into one",
            )

    async def capture(self, run: RunContext) -> Any:
        """As the agent's executor does."""
        return await self._executor.capture(run)

    async def execute(self, run: RunContext) -> AttemptOutput:
        """As the agent's executor does."""
        self._case.began(run)
        try:
            return await self._executor.execute(run)
        finally:
            self._case.ended()

    async def restore(self, run: RunContext, captured: Any) -> None:
        """As the agent's executor does."""
        await self._executor.restore(run, captured)
