"""Noise floor of a run: how much equal things differ between its own passes."""

from __future__ import annotations

from collections.abc import Iterator

from suite import stats
from suite.analysis.outcomes import Results
from suite.stats import Estimate

FEWEST = 8
"""With fewer results of several passes the floor is unknown."""


def of_run(results: Results) -> float | None:
    """The noise floor of one run, from its odd passes against its even ones, as if they were two runs.

    Null with one pass, or fewer than FEWEST results; see ``stats.floor_of``.
    """
    return stats.floor_of(_ratios(results), FEWEST)


def _ratios(results: Results) -> Iterator[Estimate]:
    for outcome in results.outcomes:
        if outcome.decides and len(outcome.passes) > 1:
            yield stats.halves_ratio(outcome.by_pass(outcome.rounds), outcome.spreads.times)
