"""A runtime that hypothesis drives rule by rule, held against the model after each."""

import asyncio
from contextlib import ExitStack, suppress
from itertools import count

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from callboard.testing import FAULTS, Plan, ProcessDied, SimulatedLoop, Stuck, World
from callboard.testing.simulation import no_collection
from callboard.testing.world.commands import (
    Cancel,
    Create,
    Erase,
    Follow,
    Operate,
    StopThread,
    Wait,
)
from callboard.testing.world.process import Process

THREADS = st.sampled_from(["t1", "t2"])
STRATEGIES = st.sampled_from(["enqueue", "interrupt", "rollback", "reject"])
ACTIONS = st.sampled_from(["interrupt", "rollback"])
STEPS = st.sampled_from(
    [["gate"], ["say", 2], ["save"], ["sleep", 1.0], ["sleep", 3.0], ["tell"], ["raise"]]
)
# No attempt takes 20 seconds: three restarts a minute, and a flaky agent would never end.
SCRIPTS = st.fixed_dictionaries(
    {
        "steps": st.lists(STEPS, max_size=4).map(lambda steps: [["gate"], *steps]),
        "unwind": st.sampled_from([0.0, 0.5, 6.0]),
        "stubborn": st.sampled_from([0.0, 3.0, 12.0]),
        "defiant": st.booleans(),
    }
)
A_MOMENT = 0.001
"""Virtual seconds in which everything happens that needs no time."""


class Callboard(RuleBasedStateMachine):
    """One runtime after another on one disk, and callers who come when a rule says so.

    What a rule begins either comes to rest before the next rule, or races with it.
    """

    runs = Bundle("runs")

    @initialize(
        target=runs,
        seed=st.integers(0, 2**32),
        observer=st.sampled_from([None, 0.0]),
        first=st.lists(st.tuples(STRATEGIES, SCRIPTS), min_size=1, max_size=4),
    )
    def the_first_process_starts(self, seed, observer, first):
        """There are runs on one thread already: what follows has something to meet."""
        self.open = ExitStack()
        self.open.enter_context(no_collection())
        self.world = World(Plan(seed, (), {}, observer), keep=None)
        self.model = self.world.model
        self.keys = count()
        self.faultless = self.rests = True
        self._start()
        return multiple(*(self._first(*each) for each in first))

    def _first(self, strategy, script):
        key, now = next(self.keys), self.world.now()
        options = {"thread": "t1", "agent": "act", "strategy": strategy, "script": script}
        self._do(Create(at=now, key=key, **options), rest=False)
        return key

    def _start(self):
        world = self.world
        world.loop = self.loop = SimulatedLoop(world.order, world.clock)
        self.process = Process(world, self.loop)
        self.callers = []
        self.runtime = self._live(self.process.started())
        if self.runtime is not None:
            for client in world.clients:
                self._call(client)

    def _call(self, client):
        if not client.done:
            name = f"client {len(self.callers)}"
            self.callers.append(self.loop.create_task(client.act(self.runtime), name=name))

    def _live(self, work):
        try:
            return self.loop.run_until_complete(work)
        except ProcessDied:
            return None  # a promise was broken
        except Stuck as stuck:
            self.model.check("somebody goes on", False, stuck)
            return None

    def _go_on(self, seconds):
        self._live(asyncio.sleep(seconds))
        self.rests = True
        if self.runtime.state == "failed":
            self._die(1.0)

    def _do(self, command, rest):
        self.rests = False
        self._call(self.world.caller(command))
        if rest:
            self._go_on(A_MOMENT)

    def _die(self, down):
        self._bury()
        self.world.outlive(down)
        self._start()

    def _bury(self):
        with suppress(ProcessDied):
            self.process.die()
        self.loop.bury()
        self.loop.close()
        self.world.clock, self.world.loop = self.loop.time(), None

    # What callers do.

    @rule(
        target=runs,
        rest=st.booleans(),
        agent=st.sampled_from(["act", "flow", "flaky"]),
        thread=THREADS,
        strategy=STRATEGIES,
        script=SCRIPTS,
        named=st.sampled_from([None, "run_id", "key"]),
        resumable=st.booleans(),
        leaves=st.booleans(),
        timeout=st.sampled_from([None, None, 2.0, 10.0]),
    )
    def create(self, rest, **options):
        key = next(self.keys)
        self._do(Create(at=self.world.now(), key=key, **options), rest)
        return key

    @rule(of=runs, action=ACTIONS, wait=st.booleans(), rest=st.booleans())
    def cancel(self, of, action, wait, rest):
        self._do(Cancel(at=self.world.now(), of=of, action=action, wait=wait), rest)

    @rule(of=runs, leave_after=st.sampled_from([None, 0, 1, 3]), rest=st.booleans())
    def follow(self, of, leave_after, rest):
        self._do(Follow(at=self.world.now(), of=of, leave_after=leave_after), rest)

    @rule(of=runs)
    def wait_for(self, of):
        self._do(Wait(at=self.world.now(), of=of), rest=True)

    @rule(of=runs, verb=st.sampled_from(["fail", "restart"]), rest=st.booleans())
    def operate(self, of, verb, rest):
        self._do(Operate(at=self.world.now(), of=of, verb=verb), rest)

    @rule(of=runs, rest=st.booleans())
    def erase(self, of, rest):
        self._do(Erase(at=self.world.now(), of=of), rest)

    @rule(thread=THREADS, rest=st.booleans())
    def stop_thread(self, thread, rest):
        self._do(StopThread(at=self.world.now(), thread=thread), rest)

    # What else happens.

    @rule(of=runs, rest=st.booleans())
    def open_gate(self, of, rest):
        if of in self.world.runs:
            self.process.cast.open(self.world.runs[of])
            self.rests = False
        if rest:
            self._go_on(A_MOMENT)

    @rule(seconds=st.sampled_from([A_MOMENT, 0.5, 6.0]))
    def time_passes(self, seconds):
        self._go_on(seconds)

    @rule()
    def idle_threads_are_passivated(self):
        self._go_on(25.0)

    @rule(kind=st.sampled_from(sorted(FAULTS)), more=st.integers(0, 5))
    def a_fault_may_strike_from_now_on(self, kind, more):
        self.faultless = self.model.punctual = False
        self.world.turbulence.kinds[kind] = min(0.5, FAULTS[kind] * 2**more)

    @rule()
    def faults_strike_no_more(self):
        self.world.turbulence.kinds.clear()

    @rule(steps=st.integers(0, 40), down=st.sampled_from([0.0, 5.0]))
    def the_process_dies_and_another_one_starts(self, steps, down):
        self._live(_steps(steps))
        if not self.model.violations:
            self._die(down)
            self.rests = False

    # What holds.

    @invariant()
    def every_promise_is_kept(self):
        assert self.model.violations == []

    @invariant()
    def nobody_waits_behind_nobody(self):
        """A thread on which a run waits has one that executes, once everything rests."""
        if self.faultless and self.rests:
            waiting = {run.thread_id for run in self._runs("pending")}
            assert waiting <= {run.thread_id for run in self._runs("running")}

    def _runs(self, status):
        return [run for run in self.model.runs.values() if run.status == status]

    def teardown(self):
        """Let everything settle, and hold what is left against the model."""
        if not hasattr(self, "world"):
            return
        with self.open:
            again = self.runtime is not None and not self.model.violations
            while again:
                again = self._settle()
            self._bury()
        if self.model.violations:
            note(self.world.trace.text())
        assert self.model.violations == []

    def _settle(self):
        """Returns whether the runtime failed meanwhile."""
        self.world.turbulence.calm = True
        self.process.cast.open_all()
        again = self._live(self.process.serve(self.runtime, self.callers))
        self.process.look_at(self.callers)
        if again:
            self._die(1.0)
        return again and not self.model.violations


async def _steps(number):
    for _ in range(number):
        await asyncio.sleep(0)


TestCallboard = Callboard.TestCase
# The same examples each time: what looks elsewhere is the soak.
TestCallboard.settings = settings(max_examples=60, stateful_step_count=30, derandomize=True)
