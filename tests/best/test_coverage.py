"""What suite.best promises, held on every stored run: intervals hold what they say, the choice is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.analysis import outcomes
from suite.best.answer import places
from tests.tools import coverage_of_best as tool


@pytest.mark.parametrize("run", tool.stored(), ids=lambda run: Path(run[0]).name)
def test_left_out_cases_lie_in_their_intervals_and_the_choice_costs_little(run: list[str]) -> None:
    for place in places(outcomes.read(run)):
        every = list(tool.left_out(place))
        found = tool.figures(every)
        assert found.cases >= 15
        assert 0.85 <= found.coverage <= 0.95, found
        assert found.chosen >= 0.9 * found.cases, found
