"""What callboard promises, as a machine that is told what happens and objects.

It knows nothing of actors. It is told four kinds of facts, each at the moment it becomes
one: what is durable, when an agent's code executes, what callers are answered, and what
readers of streams and observers see. The rules are those of the documented semantics.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from math import inf
from typing import Any, NamedTuple

from .life import ABORTING, CLOSING, MOVES, Fenced, Life
from .threads import Threads


class Violation(NamedTuple):
    """A promise that was broken: which one, and what is the case."""

    rule: str
    story: str


class Model:
    """Holds a runtime against its promises. `now` and `grace` are in seconds."""

    def __init__(self, now: Callable[[], float], grace: float) -> None:
        self._now, self._grace = now, grace
        self.violations: list[Violation] = []
        self.checked: Counter[str] = Counter()
        self.runs: dict[str, Life] = {}
        self._threads: dict[str, list[Life]] = defaultdict(list)
        self._states: dict[str, list[str]] = defaultdict(list)
        """For each thread, the runs whose saved states lie on top of each other."""
        self.records = Threads(self.check, now)
        self.recorded = self.records.recorded
        self.withdrawn: dict[str, set[str]] = defaultdict(set, erased=self.records.deleting)
        """Threads on which runs that are still to come may end so, by the reason."""
        self._asked: dict[str, set[str]] = defaultdict(set)
        self.gone: set[str] = set()
        """The runs that were erased."""
        self.closing = False
        """The runtime is being closed: it may abort what is in flight, and what still comes."""
        self.punctual = False
        """Nothing delays anything: what ends at once does so at the same moment."""
        self.shaken = False
        """An actor was made to fail: callers may be told so."""
        self.notarized = False
        """There is a required observer: what it was not told of is not erased."""

    def check(self, rule: str, kept: object, *story: object) -> None:
        """Hold something against a rule."""
        self.checked[rule] += 1
        if not kept:
            self.violations.append(Violation(rule, " ".join(map(str, story))))

    def runs_on(self, thread_id: str) -> list[Life]:
        """The runs that there are on a thread."""
        return list(self._threads[thread_id])

    def _others(self, run: Life) -> list[Life]:
        return [other for other in self._threads[run.thread_id] if other is not run]

    # What is durable.

    def inserted(self, snapshot: Any) -> None:
        """A run's record is stored."""
        run_id, thread_id = str(snapshot.run_id), str(snapshot.thread_id)
        self.check("one record a run", run_id not in self.runs, run_id, "was inserted twice")
        place = self.checked["one record a run"]
        run = Life(run_id, thread_id, place, snapshot.request, self._asked[run_id])
        self.runs[run_id] = run
        self._threads[thread_id].append(run)
        others = self._others(run)
        key = run.request.idempotency_key
        again = [other for other in others if key and other.request.idempotency_key == key]
        self.check("one run a key", not again, run, "beside", again)
        in_flight = [other for other in others if not other.over]
        if run.strategy == "reject":
            self.check("reject", not in_flight, run, "was admitted beside", in_flight)
        for other in in_flight if run.strategy in ABORTING else ():
            other.asked.add(run.strategy)

    def moved(self, run_id: str, status: str, reason: str | None, action: str | None) -> None:
        """A run's status changed."""
        run, status = self.runs[run_id], str(status)
        self.check("transitions", status in MOVES.get(run.status, ()), run, "becomes", status)
        run.status, run.action = status, action
        if status == "running":
            rivals = [other for other in self._others(run) if other.status == "running"]
            self.check("one at a time", not rivals, run, "runs beside", rivals)
            return
        self.check("terminal means unwound", not run.executing, run, "executes")
        self.check("a cause for each end", self._justified(run, reason), run, reason, run.asked)
        self.check("an abort holds", run.bound not in ABORTING or status != "success", run)
        self.check("a rollback stays one", run.bound != "rollback" or action != "interrupt", run)
        self.check("a failing holds", run.bound != "fail" or status == "error", run)
        self.check("an end is not put off", self._now() <= run.due, run, "was due at", run.due)
        patient = reason != "abandoned" or not run.attempts or self.had_time(run)
        self.check("time to unwind", patient, run)
        lonely = reason != "disconnected" or not run.steady
        self.check("aborted when the last reader leaves", lonely, run)
        if action == "rollback" and status == "interrupted":
            self.check("rollback restores", run_id not in self._states[run.thread_id], run)

    def _justified(self, run: Life, reason: str | None) -> bool:
        if run.status == "success":
            return run.outcome == "returned"
        if run.status == "interrupted":
            # An agent that does not unwind is abandoned, whatever it was aborted for.
            reasons = self.withdrawn if reason == "abandoned" else (str(reason),)
            gone = any(run.thread_id in self.withdrawn.get(each, ()) for each in reasons)
            return gone or self.closing or bool(run.asked & ABORTING)
        if run.status == "timeout":
            return run.request.timeout is not None
        asked = ABORTING if reason == "rollback_failed" else {"fault", "death", "fail", "observer"}
        return bool(run.asked & asked) or run.outcome in {"raised", "cancelled"}

    def logged(self, run_id: str, sequence: int, event_id: str, kind: str) -> None:
        """A lifecycle event is in the log; one that was there before is the same one."""
        run = self.runs.get(run_id)
        if run is None:
            self.check("the erased stay erased", False, run_id, kind)
            return
        if sequence <= len(run.events):
            self.check("the log does not change", run.events[sequence - 1] == kind, event_id, kind)
            return
        self.check("no gap in sequences", sequence == len(run.events) + 1, run, sequence)
        self.check("created comes first", (sequence == 1) == (kind == "run_created"), run, kind)
        run.events.append(kind)
        if kind in CLOSING.values():
            ends = [each for each in run.events if each in CLOSING.values()]
            self.check("terminal once", len(ends) == 1, run, ends)
            self.check("event and status agree", CLOSING.get(run.status) == kind, run, kind)

    def saved(self, thread_id: str, run_id: str) -> None:
        """An agent saved its thread's state."""
        run = self.runs.get(run_id)
        self.check("the dead do not write", run and not run.over, run or run_id, "saved")
        self._states[thread_id].append(run_id)

    def dropped(self, thread_id: str, run_id: str) -> None:
        """What a run saved is forgotten."""
        self._states[thread_id] = [each for each in self._states[thread_id] if each != run_id]

    def erased(self, run_id: str) -> None:
        """A run's record is deleted."""
        run = self.runs.get(run_id)
        if run is not None:
            self.check("erased for a reason", "erase" in run.asked or run.forgettable, run)
            self._erase(run)

    def _erase(self, run: Life) -> None:
        self.check("only the dead are erased", run.over and not run.executing, run)
        told = run.attested or run.survived or self.shaken or run.asked & {"fault", "death"}
        self.check("required observers come first", told or not self.notarized, run)
        del self.runs[run.run_id]
        self._threads[run.thread_id].remove(run)
        self.gone.add(run.run_id)

    def erased_all(self, thread_id: str) -> None:
        """A thread is deleted."""
        runs = self.runs_on(thread_id)
        leaves = all(run.request.scope == "temporary_thread" for run in runs)
        self.records.erased(thread_id, asked=leaves)
        for run in runs:
            self._erase(run)
        self._states.pop(thread_id, None)

    # When code of agents executes.

    def began(self, run_id: str, attempt: int, fenced: Fenced) -> None:
        """An attempt's first line executes."""
        run = self.runs[run_id]
        everybody = [*self._others(run), run]
        rivals = [each for each in everybody if each.executing]
        self.check("one at a time", not rivals, run, "begins beside", rivals)
        ghosts = [each for each in everybody if each.attempts]
        self.check("time to unwind", all(map(self.had_time, ghosts)), ghosts)
        self.check("changes are alone", run.thread_id not in self.records.changing, run)
        self.check("durable before it begins", run.status == "running", run)
        self.check("attempts count up", attempt > run.began, run, attempt, "after", run.began)
        self.check("aborted before it began", run.bound is None or run.began, run)
        caused = attempt == 1 or "restart" in run.asked
        self.check("a cause for each attempt", caused, run, "begins attempt", attempt)
        earlier = [
            other
            for other in self._others(run)
            if other.place < run.place and other.status == "pending"
            if not (other.request.after_seconds or run.request.after_seconds)
        ]
        self.check("first in, first out", run.began or not earlier, run, "before", earlier)
        run.began, run.outcome = attempt, None
        run.attempts[fenced] = None

    def had_time(self, ghost: Life) -> bool:
        """Whether its agent, which still executes, was asked to unwind long enough ago."""
        now = self._now()
        since = [now - (now if at is None else at) for at in ghost.attempts.values()]
        patient = all(round(each, 6) >= self._grace for each in since)  # as exact as timers are
        return patient or "fault" in ghost.asked

    def unwinds(self, run_id: str) -> None:
        """An attempt noticed that it was asked to end."""
        attempts = self.runs[run_id].attempts if run_id in self.runs else {}
        latest = next(reversed(attempts), None)
        if latest is not None and attempts[latest] is None:
            attempts[latest] = self._now()

    def left(self, run_id: str, outcome: str, fenced: Fenced) -> None:
        """An attempt's last line executed."""
        run = self.runs.get(run_id)
        if run is not None and fenced in run.attempts:
            del run.attempts[fenced]
            run.outcome = run.outcome if fenced() else outcome

    # What callers do and are answered.

    def asks(self, run_id: str, what: str) -> None:
        """Something may end a run from now on."""
        self._asked[run_id].add(what)

    def asks_all(self, what: str, thread_id: str | None = None) -> None:
        """The same of every run in flight, or of a thread's."""
        for run in self.runs.values():
            if not run.over and thread_id in (None, run.thread_id):
                run.asked.add(what)

    def promised(self, run_id: str, what: str) -> None:
        """The caller was told that the run will end by `interrupt`, `rollback` or `fail`."""
        run = self.runs.get(run_id)
        if run is not None and not run.over:
            late = "interrupt" in run.asked or self.closing
            late = late or any(run.thread_id in each for each in self.withdrawn.values())
            # What was being stored when a second abort came could not be changed any more.
            self._bind(
                run, "interrupt" if what == "rollback" and late and not run.executing else what
            )

    def _bind(self, run: Life, what: str) -> None:
        if (run.bound, what) in ((None, what), ("interrupt", "rollback")):
            run.bound = what
        if self.punctual:
            run.due = min(run.due, self._now() + (2 * self._grace if run.attempts else 0.0))

    def acknowledged(self, run_id: str) -> None:
        """`create` returned."""
        run = self.runs.get(run_id)
        self.check("acknowledged is durable", run or run_id in self.gone, run_id)
        for other in self._others(run) if run is not None and run.strategy in ABORTING else ():
            if run is not None and other.place < run.place and other.status == "pending":
                self._bind(other, "interrupt")

    def refused(self, thread_id: str, rival: str, since: float) -> None:
        """`create` raised `ConflictError`, which named the active run."""
        run = self.runs.get(rival)
        real = run and run.thread_id == thread_id and (run.told_at or since) >= since
        self.check("a conflict is real", real or rival in self.gone, thread_id, run or rival)

    def answered(self, run_id: str, status: str = "") -> None:
        """Somebody was told that the run has ended, and perhaps how."""
        run = self.runs.get(run_id)
        if run is not None:
            run.told_at = run.told_at or self._now()
            agrees = run.over and status in (run.status, "")
            self.check("durable before visible", agrees, run, "was answered", status)
            self.check("forgotten means gone", not run.forgotten, run)
            self.check("answered means unwound", not run.executing, run)

    def disturbed(self) -> None:
        """A fault strikes: from now on, things may be late."""
        self.punctual = False
        for run in self.runs.values():
            run.due = inf

    def died(self) -> None:
        """The process is gone: nothing executes, and what it promised without storing is void."""
        self.closing = False
        self.records.changing.clear()
        for run in self.runs.values():
            run.attempts.clear()
            run.survived = run.over
            if not run.over:
                run.asked.add("death")
                run.bound = run.outcome = None
            run.due, run.deserted = inf, False
            run.steady.clear()
            if not run.request.resumable:
                run.frames.clear()

    def settled(self) -> None:
        """Faults have stopped, and time enough has passed."""
        for run in self.runs.values():
            told = any(each in CLOSING.values() for each in run.events)
            self.check("every run ends", run.over and told, run, run.events)
            self.check("forgotten means gone", not run.forgotten, run)
