"""Noise floor of a run: how much the ratios of its backends differ between its own passes."""

from __future__ import annotations

from collections.abc import Iterator

from suite import stats
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.analysis.passes import ratio_by_pass
from suite.cases.case import Case
from suite.stats import Estimate

FEWEST = 20
"""With fewer ratios of several passes the floor is unknown: of ten, one in twenty is none."""


def of_run(results: Results) -> float | None:
    """The noise floor of one run, from the ratios in its odd passes against those in its even ones.

    Each is of a backend to the first of its case, within rounds, as verdicts are. Two halves differ by twice
    what all passes together miss, so it is the square root that counts. Null with one pass, or fewer than
    FEWEST ratios; see ``stats.floor_of``.
    """
    return stats.floor_of(_ratios(results), FEWEST)


def _ratios(results: Results) -> Iterator[Estimate]:
    first: dict[tuple[str, Case, str | None], Outcome] = {}
    for one in results.outcomes:
        if one.decides and len(one.passes) > 1:
            other = first.setdefault((one.device, one.case, one.environment), one)
            if other is not one and other.measurements == one.measurements:
                halves = stats.halves_ratio(ratio_by_pass(one, other), one.spreads.ratios)
                yield Estimate(*(end**0.5 for end in (halves.value, halves.low, halves.high)))
