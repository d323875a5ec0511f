"""The commands of the test kit: what they refuse."""

import pytest

from callboard.testing.__main__ import main

REFUSED = [
    *(("soak", "--minutes", minutes) for minutes in ("nan", "-1", "0", "inf", "soon")),
    *(("exhaustive", "--minutes", minutes) for minutes in ("nan", "-1", "0", "inf", "soon")),
    *(("soak", "--jobs", jobs) for jobs in ("-1", "0", "1.5", "many")),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_a_number_that_means_nothing_is_refused_before_anything_is_simulated(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert f"argument {arguments[1]}: '{arguments[2]}': give a" in said.err
