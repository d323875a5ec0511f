"""Quicker construction changes nothing but the time it takes."""

import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from callboard.domain.records import quick


@quick
@dataclass(frozen=True, slots=True)
class Mixed:
    first: int
    second: str = "two"
    third: list = field(default_factory=list, kw_only=True)
    fourth: int = field(default=4, kw_only=True)

    def __post_init__(self):
        if self.first < 0:
            raise ValueError(self.first)


def test_fields_are_set_from_arguments_defaults_and_factories():
    made = Mixed(1)

    assert (made.first, made.second, made.third, made.fourth) == (1, "two", [], 4)
    assert Mixed(1, "x", third=[1], fourth=5) == replace(made, second="x", third=[1], fourth=5)


def test_what_a_factory_makes_is_not_shared():
    assert Mixed(1).third is not Mixed(1).third


def test_the_signature_is_the_dataclasss_own():
    ordinary = dataclass(frozen=True, slots=True)(
        type("Mixed", (), {"__annotations__": {"first": int, "second": str}, "second": "two"})
    )
    kinds = [(p.name, p.kind, p.default) for p in inspect.signature(ordinary).parameters.values()]

    ours = inspect.signature(Mixed).parameters.values()

    assert [(p.name, p.kind, p.default) for p in ours][:2] == kinds
    assert [p.name for p in ours if p.kind is inspect.Parameter.KEYWORD_ONLY] == ["third", "fourth"]


@pytest.mark.parametrize(
    ("positional", "named"),
    [((), {}), ((1, "x", []), {}), ((1,), {"fifth": 5}), ((1,), {"first": 1})],
)
def test_a_call_that_does_not_fit_is_a_type_error(positional, named):
    with pytest.raises(TypeError):
        Mixed(*positional, **named)


def test_the_check_after_construction_is_made():
    with pytest.raises(ValueError, match="-1"):
        Mixed(-1)


def test_it_stays_a_frozen_value():
    made = Mixed(1)

    with pytest.raises(FrozenInstanceError):
        made.first = 2
    assert pickle.loads(pickle.dumps(made)) == made
