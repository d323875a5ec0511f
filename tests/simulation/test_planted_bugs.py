"""A simulator that finds nothing has proved nothing: it finds these."""

import itertools
from dataclasses import replace

import pytest

from callboard.actors.run import RunActor
from callboard.testing import Plan, World
from tests.simulation.planted import DoesNotApply, planted, recorded, search
from tests.simulation.slips import SLIPS

SEEDS = recorded()
MOST_SEEDS = 2000
"""How long it is searched where plans have changed and a noted seed shows nothing any more."""
SECONDS = 15.0


@pytest.mark.parametrize("slip", SLIPS, ids=str)
def test_a_planted_bug_is_found_and_nothing_is_found_without_it(slip):
    noted = SEEDS.get(slip.name, 0)

    with planted(slip):
        _, report = search(itertools.chain([noted], range(MOST_SEEDS)), SECONDS)

    assert report is not None, "search longer: python -m tests.simulation.planted --record"
    assert World(Plan.of(report.plan.seed)).run().ok


def test_every_bug_has_a_name_and_a_noted_seed_of_its_own():
    names = [slip.name for slip in SLIPS]

    assert len(set(names)) == len(names) >= 16
    assert set(SEEDS) == set(names)


def test_a_bug_is_gone_when_it_has_been_looked_for():
    before = RunActor._unwind.__code__

    with planted(SLIPS[0]):
        assert RunActor._unwind.__code__ is not before

    assert RunActor._unwind.__code__ is before


def test_a_bug_in_code_that_has_changed_is_no_bug():
    with pytest.raises(DoesNotApply, match="has 0 times"), planted(replace(SLIPS[0], right="?")):
        pass
