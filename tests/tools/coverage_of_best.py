"""How good the predictions of suite.best are, on stored runs: python -m tests.tools.coverage_of_best [RUN...]

Each case is left out in turn and predicted from the others; results that were not measured at full speed are
no truth to hold it against. A line for each run: how many of its cases lie inside the others, so that they
would be answered; of these and of all, in how many results the interval holds the time that was measured, the
error at the median and at the 90th percentile, and the width of the intervals at the median as a factor; and
in how many cases the backend chosen takes at most 5 % longer than the best, of all and of libraries' calls.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from suite.analysis import comparison, outcomes
from suite.best import model
from suite.best.answer import LIBRARY, Forecast, Place, obstacle, places, predictors
from suite.cases.case import Case

ROOT = Path(__file__).resolve().parents[2]
LITTLE = 1.05
APART = ("-placements", "-operations")
"""Runs of other operations, and of tables that lie in other places: too few cases of each are alike."""


@dataclass(frozen=True)
class LeftOut:
    """One case left out of a place and predicted.

    Attributes:
        inside: whether it would have been answered.
        errors: predicted over measured, of each backend. held: whether the interval holds the measured time.
        widths: half of the interval, as a factor.
        regret, of_libraries: the chosen backend's time over the best one's; of libraries alone.
    """

    case: Case
    inside: bool
    errors: dict[str, float]
    held: dict[str, bool]
    widths: dict[str, float]
    regret: float
    of_libraries: float


def stored() -> list[list[str]]:
    """The runs of lookups in results/, those of a folder of runs together."""
    every = sorted(path for path in (ROOT / "results").iterdir() if path.is_dir())
    folders = [path for path in every if not path.name.endswith(APART)]
    return [
        [str(f)] for f in folders if list(f.glob("environment.json")) + list(f.glob("*/environment.json"))
    ]


def left_out(place: Place) -> Iterator[LeftOut]:
    """Every case of a place that enough others are like, left out."""
    for case in place.cases:
        others = {name: {c: o for c, o in of.items() if c != case} for name, of in place.outcomes.items()}
        rest = replace(place, outcomes=others)
        errors, held, widths, inside = {}, {}, {}, False
        predicted: dict[str, float] = {}
        forecast = Forecast(rest, case)
        for name, of in place.outcomes.items():
            cases = predictors(others[name], case)
            if case not in of or not of[case].decides or len(cases) < model.NEAREST:
                continue
            inside |= obstacle(place, case, cases) is None
            expected = forecast.time(name, cases)
            known, predicted[name] = place.seconds[name][case], expected.value
            errors[name], held[name] = expected.value / known, expected.low <= known <= expected.high
            widths[name] = expected.high / expected.value
        if predicted:
            libraries = [n for n in predicted if comparison.whose(_alone(n), place.where) == LIBRARY]
            regrets = [
                _regret(place, case, {n: predicted[n] for n in some}) for some in (predicted, libraries)
            ]
            yield LeftOut(case, inside, errors, held, widths, *regrets)


def _alone(name: str) -> str:
    return name.partition(" @")[0]


def _regret(place: Place, case: Case, predicted: dict[str, float]) -> float:
    if not predicted:
        return math.inf
    chosen = min(predicted, key=lambda name: predicted[name])
    return place.seconds[chosen][case] / min(place.seconds[name][case] for name in predicted)


@dataclass(frozen=True)
class Figures:
    """What the left-out cases of one run show together."""

    cases: int
    coverage: float
    median_error: float
    high_error: float
    width: float
    chosen: int
    chosen_library: int

    def __str__(self) -> str:
        if not self.cases:
            return "none"
        return (
            f"{self.cases} cases: {self.coverage:.1%} held, error {self.median_error:.0%} at the median, "
            f"{self.high_error:.0%} at the 90th percentile, interval x/÷ {self.width:.2f}, "
            f"choice within 5 % in {self.chosen}, of libraries in {self.chosen_library}"
        )


def figures(some: Sequence[LeftOut]) -> Figures:
    """The figures of these cases."""
    errors = [abs(math.log(e)) for one in some for e in one.errors.values()]
    held = [h for one in some for h in one.held.values()]
    widths = [w for one in some for w in one.widths.values()]
    if not errors:
        return Figures(0, math.nan, math.nan, math.nan, math.nan, 0, 0)
    median, high = np.expm1(np.quantile(errors, [0.5, 0.9])).tolist()
    good = sum(one.regret <= LITTLE for one in some)
    of_libraries = sum(one.of_libraries <= LITTLE for one in some)
    width = float(np.median(widths))
    return Figures(len(some), float(np.mean(held)), median, high, width, good, of_libraries)


def lines(runs: Sequence[Sequence[str]]) -> Iterator[str]:
    """The figures of each run."""
    for run in runs:
        for place in places(outcomes.read(run)):
            every = list(left_out(place))
            inside = [one for one in every if one.inside]
            yield f"{Path(run[0]).name} {place.device}, {len(place.cases)} cases"
            yield f"  would be answered: {figures(inside)}"
            yield f"  all left out:      {figures(every)}"


if __name__ == "__main__":
    for line in lines([sys.argv[1:]] if sys.argv[1:] else stored()):
        print(line, flush=True)
