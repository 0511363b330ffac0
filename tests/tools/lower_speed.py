"""What ratios are worth that were taken below full speed: python -m tests.tools.lower_speed [RUN …]

Of every two contenders that took turns with each other, the median ratio of a pass's rounds in which not both
were at full speed is held against that of its rounds in which both were; at least four of each. By default of
all runs in results/ that have a meter's readings.
"""

from __future__ import annotations

import itertools
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from suite.analysis import comparison, outcomes, speed
from suite.analysis.outcome import Outcome
from suite.analysis.passes import common_clock
from suite.analysis.speed import Key, Metered, Place
from suite.records.store import Run
from suite.stats import ASSUMED_NOISE_FLOOR, FULL_SPEED_TOLERANCE, ratios
from tests.tools import trials

ROOT = Path(__file__).resolve().parents[2]
FEWEST = 4
"""Rounds of either kind."""
FACTORS = (1.02, 1.1, 1.2, 1.0 + comparison.LOWER_SPEED_FLOOR, 1.5, 2.0)
QUANTILES = (0.5, 0.9, 0.95, 0.99)


class Shift(NamedTuple):
    """A ratio at full speed, and below it."""

    full: float
    lower: float
    what: str

    @property
    def factor(self) -> float:
        """How far apart the two are."""
        return math.exp(abs(math.log(self.lower / self.full)))


def shifts(folder: Path) -> Iterator[tuple[str, Shift]]:
    """Of one run, each pass of each two contenders, with the state of the caches."""
    for run in Run.parts(folder):
        parts: dict[Place, dict[Key, Outcome]] = defaultdict(dict)
        groups: dict[Place, dict[Key, Metered]] = defaultdict(dict)
        for record, timings in outcomes.possible(run, folder.name, []):
            place, key = (record.measurement, record.device), speed.key_of(record)
            metered = Metered.of(record)
            if metered is not None and not record.case.evicted:
                groups[place][key] = metered
                parts[place][key] = Outcome.of(folder.name, record, timings)
        judged = speed.judge(groups, run.environment.full_speed_s)
        for place, flags in judged.flags.items():
            for a, b in itertools.combinations(flags, 2):
                one, other = parts[place][a], parts[place][b]
                shift = _shift(one, other, [x and y for x, y in zip(flags[a], flags[b], strict=False)])
                if shift is not None:
                    yield one.case.cache, shift


def _shift(a: Outcome, b: Outcome, full: Sequence[bool]) -> Shift | None:
    clock = common_clock(a, b)
    every = ratios(a.times(clock), b.times(clock))
    fast, slow = (
        [one for one, at_full in zip(every, full, strict=False) if at_full is wanted and not math.isnan(one)]
        for wanted in (True, False)
    )
    if min(len(fast), len(slow)) < FEWEST:
        return None
    return Shift(statistics.median(fast), statistics.median(slow), f"{a.name} / {b.name}  {a.case}")


def said(found: Sequence[tuple[str, Shift]]) -> Iterator[str]:
    """The lines to print."""
    for cache in sorted({cache for cache, _ in found}):
        own = [shift.factor for of, shift in found if of == cache]
        at = ", ".join(f"{q:.0%} within {np.quantile(own, q):.2f}x" for q in QUANTILES)
        at += f", worst {max(own):.2f}x"
        yield f"{cache}: {len(own)} ratios below full speed, from those at full speed {at}"
    every = [shift for _, shift in found]
    for factor in FACTORS:
        called = [one for one in every if not 1 / factor <= one.lower <= factor]
        wrong = [one for one in called if not _agrees(one)]
        yield (
            f"apart by {factor:g}x and more below full speed: {len(called)} of {len(every)}, "
            f"of these not so at full speed: {trials.share(len(wrong), called)}, {len(wrong)}"
        )
    for one in sorted(every, key=lambda one: -one.factor)[:3]:
        yield f"  {one.full:.2f} at full speed, {one.lower:.2f} below: {one.what}"


def _agrees(one: Shift) -> bool:
    """Whether it is slower, or faster, at full speed too, by more than equal things differ."""
    full = one.full if one.lower > 1 else 1 / one.full
    return full > 1 + ASSUMED_NOISE_FLOOR


def with_meter() -> list[Path]:
    """The runs in results/, those within folders of runs too."""
    return sorted(path.parent for path in (ROOT / "results").rglob("environment.json"))


def main(argv: Sequence[str]) -> None:
    folders = [Path(one) for one in argv] or with_meter()
    print(f"full speed: to {FULL_SPEED_TOLERANCE:.0%} above the meter's best")
    found = []
    for folder in folders:
        own = list(shifts(folder))
        print(f"{folder.name}: {len(own)} ratios", flush=True)
        found += own
    print(*said(found), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
