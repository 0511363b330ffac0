"""The noise floor: by how much a backend differs from itself on this machine though its interval says not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite.stats import Estimate

MIN_CASES = 4
"""With fewer comparisons nothing is said."""

LEAST = 0.01
"""No machine is trusted with less. tests/figures/verdicts.py on a shared virtual machine: intervals alone
called 4 of 25 pairs of equal backends different, with a floor of 0.5 % 2, with 1 % none."""


def floor_of(ratios: Sequence[Estimate]) -> float | None:
    """The bound that a whole interval must be beyond before a difference is called.

    An interval knows how samples scatter, not that equal things may be unequal: memory placed otherwise,
    drift between turns. So it is the most by which the interval of a backend against itself missed 1, and at
    least LEAST. How wide the intervals are does not enter: a verdict looks at its own.

    Args:
        ratios: a backend's time over its own, one for each case; unbounded intervals are left out.

    Returns:
        The floor, e.g. 0.013 for 1.3 %; None with fewer than MIN_CASES usable ratios.
    """
    usable = [r for r in ratios if 0 < r.low <= r.value <= r.high and math.isfinite(r.high)]
    if len(usable) < MIN_CASES:
        return None
    missed = max(max(math.log(r.low), -math.log(r.high)) for r in usable)
    return max(LEAST, math.expm1(missed))


def in_words(floor: float | None) -> str:
    """The noise floor as a sentence."""
    if floor is None:
        return "noise floor: not measured"
    # Rounded up: what is promised holds for the figure that is read.
    shown = math.ceil(floor * 1000 - 1e-9) / 10
    return f"noise floor: {shown:.1f} %; a difference is called only if its whole interval is beyond that"
