"""The world: processes that live and die on one disk, and the callers they serve."""

from __future__ import annotations

from ..model import Model
from ..simulated import Choices, Disk, ProcessDied, SimulatedLoop, Trace, Turbulence
from ..virtual_time import Stuck
from .audience import Witness
from .clients import Client
from .commands import Close, Command, Die
from .plan import Plan
from .process import SETTINGS, Process
from .report import Report


class World:
    """Simulates a plan.

    Args:
        plan: what happens.
        keep: lines of the trace that are kept; `None` keeps all, 0 none.

    """

    def __init__(self, plan: Plan, keep: int | None = 0) -> None:
        self.plan = plan
        self.clock = 0.0
        """Virtual seconds, while no process lives."""
        self.loop: SimulatedLoop | None = None
        self.model = Model(self.now, SETTINGS.abort_grace)
        self.model.punctual, self.model.notarized = not plan.observer, plan.observer is not None
        self.trace = Trace(keep)
        self.order = Choices(plan.seed, "order")
        self.turbulence = Turbulence(Choices(plan.seed, "faults"), dict(plan.kinds), self._struck)
        self.disk = Disk(self.model)
        self.ends = sorted(
            (command for command in plan.commands if isinstance(command, Die | Close)),
            key=lambda end: end.at,
        )
        """How processes end before their time; each is taken away when it has happened."""
        self.runs: dict[int, str] = {}
        """The ids of the runs, by the key of the command that creates each."""
        self.clients = [
            Client(command, self.model, self.runs)
            for command in plan.commands
            if not isinstance(command, Die | Close)
        ]
        self.witness = Witness(self.model, lasting=False)
        self.ledger = Witness(self.model, lasting=True)
        self._report = Report(plan)

    def now(self) -> float:
        """Virtual seconds since the beginning of the world."""
        return self.clock if self.loop is None else self.loop.time()

    def say(self, who: str, what: str) -> None:
        """Note something in the trace."""
        self.trace.say(self.now(), who, what)

    def caller(self, command: Command) -> Client:
        """One more caller, of whom the plan did not know."""
        client = Client(command, self.model, self.runs)
        self.clients.append(client)
        return client

    def _struck(self, kind: str) -> None:
        self.say("chance", kind)
        self.model.disturbed()
        if kind.startswith("handler raises"):
            self.model.asks_all("fault")
            self.model.shaken = True
            self.witness.shaken()
            self.ledger.shaken()

    def run(self) -> Report:
        """Simulate it to the end, or until a promise is broken."""
        while self._live() and not self.model.violations:
            pass
        report = self._report
        report.violations = tuple(self.model.violations)
        report.seconds = self.clock
        report.faults = self.turbulence.happened
        report.checked = self.model.checked
        report.trace = self.trace.text()
        return report

    def _live(self) -> bool:
        """One process, from its start to its end. Returns whether there is another one."""
        self.loop = loop = SimulatedLoop(self.order, self.clock)
        process = Process(self, loop)
        self.say("a process", "starts")
        try:
            again = loop.live(process.work())
        except ProcessDied:
            again = True
        except Stuck as stuck:
            self.model.check("somebody goes on", False, stuck)
            again = False
        self._report.lives += 1
        self._report.steps += loop.steps
        self._report.turns += process.turns
        self.clock, self.loop = loop.time(), None
        if again:
            self.say("the process", "is no more")
            self.outlive(process.down)
        return again

    def outlive(self, down: float) -> None:
        """Tell everybody that the process is no more. The next one starts in `down` seconds."""
        self.clock += down
        self.model.died()
        self.witness.restarted()
        self.ledger.restarted()
        for client in self.clients:
            client.restarted()
