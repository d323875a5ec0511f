"""Decisions, as pure functions of data. Actors only carry them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .commands import check_count, check_seconds
from .enums import CancelAction, MultitaskDecision, MultitaskStrategy
from .errors import InvalidValue, UnsupportedStrategyError

_ON_BUSY = {
    MultitaskStrategy.REJECT: MultitaskDecision.REJECT,
    MultitaskStrategy.INTERRUPT: MultitaskDecision.CANCEL_EXISTING,
    MultitaskStrategy.ROLLBACK: MultitaskDecision.CANCEL_EXISTING,
    MultitaskStrategy.ENQUEUE: MultitaskDecision.ENQUEUE,
}


class MultitaskPolicy:
    """What a new run means for a thread.

    | strategy | idle thread | runs in flight |
    | --- | --- | --- |
    | `reject` | allow | reject |
    | `interrupt` | allow | cancel existing, keep what they did |
    | `rollback` | allow | cancel existing, restore the state before them |
    | `enqueue` | allow | enqueue |
    """

    @staticmethod
    def decide(strategy: MultitaskStrategy, in_flight: int) -> MultitaskDecision:
        """The decision for a thread with `in_flight` pending and running runs.

        Raises:
            UnsupportedStrategyError: the strategy is unknown.

        """
        decision = _ON_BUSY.get(strategy)
        if decision is None:
            raise UnsupportedStrategyError(
                "multitask_strategy", strategy, "choose a MultitaskStrategy"
            )
        return decision if in_flight else MultitaskDecision.ALLOW

    @staticmethod
    def action(strategy: MultitaskStrategy) -> CancelAction:
        """How `CANCEL_EXISTING` aborts the runs in flight."""
        if strategy is MultitaskStrategy.ROLLBACK:
            return CancelAction.ROLLBACK
        return CancelAction.INTERRUPT


class CancelPolicy:
    """What an abort's action means."""

    @staticmethod
    def rolls_back_checkpoint(action: CancelAction) -> bool:
        """Whether the state before the run is restored."""
        return action is CancelAction.ROLLBACK

    @staticmethod
    def strongest(asked: CancelAction | None, now: CancelAction) -> CancelAction:
        """`rollback` upgrades `interrupt`, never down."""
        return CancelAction.ROLLBACK if CancelAction.ROLLBACK in (asked, now) else now


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """When a failed attempt is tried again. By default never.

    Intensity and period are meant as Erlang/OTP has them: more than `max_restarts`
    failures in any `within` seconds end the run.

    | the attempt … | restarts in the window | then |
    | --- | --- | --- |
    | returns | any | the run is `success` |
    | raises one of `restart_on` | fewer than `max_restarts` | a new attempt, after the backoff |
    | raises one of `restart_on` | `max_restarts` | the run is `error`, with the history |
    | raises anything else | any | the run is `error` |
    | is aborted or timed out | any | `interrupted` or `timeout`, never restarted |

    Args:
        max_restarts: restarts allowed in the window; 0 is never.
        within: length of the window in seconds.
        backoff: seconds before the first restart; doubles each time.
        max_backoff: longest wait in seconds.
        jitter: share of the wait that is random, 0 to 1.
        restart_on: exception types that are worth another try.
        on_orphan: what becomes of a run whose process died.
        max_attempts: attempts after which such a run is not tried again: it may be what
            kills the process.

    Raises:
        InvalidValue: a number is out of range.

    """

    max_restarts: int = 0
    within: float = 60.0
    backoff: float = 0.5
    max_backoff: float = 30.0
    jitter: float = 0.1
    restart_on: tuple[type[BaseException], ...] = (Exception,)
    on_orphan: Literal["fail", "restart"] = "fail"
    max_attempts: int = 10

    def __post_init__(self) -> None:
        """Check every number."""
        check_count(self.max_restarts, "max_restarts", "give 0 or more")
        check_count(self.max_attempts, "max_attempts", "give 0 or more")
        for name in ("within", "backoff", "max_backoff", "jitter"):
            check_seconds(getattr(self, name), name)
        if self.jitter > 1:
            raise InvalidValue("jitter", self.jitter, "give a share from 0 to 1")
        if self.on_orphan not in ("fail", "restart"):
            raise InvalidValue("on_orphan", self.on_orphan, "choose 'fail' or 'restart'")
        kinds = self.restart_on
        if not isinstance(kinds, tuple) or not all(
            isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds
        ):
            raise InvalidValue("restart_on", kinds, "give a tuple of exception types")

    def restarts_orphan(self, attempts: int) -> bool:
        """Whether a run is tried again whose process died during its last attempt.

        Args:
            attempts: how many it had.

        """
        return self.on_orphan == "restart" and attempts < self.max_attempts

    def covers(self, error: BaseException) -> bool:
        """Whether `error` is of a kind that is tried again."""
        return isinstance(error, self.restart_on)

    def allows(self, restarts: Sequence[float], now: float) -> bool:
        """Whether one more restart stays within intensity and period.

        Args:
            restarts: when the earlier restarts were, in seconds of one clock.
            now: the same clock.

        """
        recent = sum(1 for at in restarts if now - at < self.within)
        return recent < self.max_restarts

    def delay(self, restart: int, chance: float) -> float:
        """Seconds to wait before a restart: never more than `max_backoff`.

        Args:
            restart: which one, from 1.
            chance: a random number from 0 to 1.

        """
        wait = min(self.max_backoff, self.backoff * 2.0 ** min(restart - 1, 60))
        return min(self.max_backoff, wait * (1 + self.jitter * (2 * chance - 1)))
