"""What goes wrong in a simulation, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...domain.errors import InvalidValue
from .choices import Choices

KINDS: dict[str, float] = {
    "slow store": 0.15,
    "store fails": 0.08,
    "store hangs": 0.01,
    "answer lost": 0.08,
    "read fails": 0.03,
    "delay": 0.03,
    "handler raises": 0.005,
    "handler raises after": 0.005,
    "observer refuses": 0.05,
}
"""The faults there are, and the probability of each where it could happen."""


class InjectedFault(RuntimeError):
    """A handler failed because the simulation wanted it to."""


def checked(faults: Mapping[str, float] | None) -> dict[str, float]:
    """The faults that a host wants, as `Turbulence` takes them.

    Args:
        faults: the probability of each kind; `None` for no faults.

    Raises:
        InvalidValue: a kind is unknown, or a probability is no number from 0 to 1.

    """
    if faults is None:
        return {}
    if not isinstance(faults, Mapping):
        raise InvalidValue("faults", faults, "give a mapping of kinds to probabilities")
    for kind, probability in faults.items():
        if kind not in KINDS:
            known = ", ".join(f"'{each}'" for each in KINDS)
            raise InvalidValue("faults", kind, f"choose among {known}")
        if not _is_probability(probability):
            raise InvalidValue(f"faults['{kind}']", probability, "give a probability from 0 to 1")
    return dict(faults)


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(slots=True)
class Turbulence:
    """Decides, wherever something could go wrong, whether it does.

    Args:
        choices: the stream of decisions.
        kinds: the faults that may happen, and the probability of each.
        told: is called with each fault, before it is felt.

    """

    choices: Choices
    kinds: dict[str, float]
    told: Callable[[str], None] = lambda kind: None
    calm: bool = False
    """Nothing goes wrong any more."""
    happened: Counter[str] = field(default_factory=Counter)

    def strikes(self, kind: str) -> bool:
        """Whether this fault happens here and now."""
        probability = self.kinds.get(kind)
        if probability is None:
            return False
        # Drawn also when it is calm: what went before must not depend on it.
        struck = self.choices.happens(probability) and not self.calm
        if struck:
            self.happened[kind] += 1
            self.told(kind)
        return struck
