"""The noise floor: how far apart a machine puts two backends that are the same one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from suite.stats import Estimate

MIN_CASES = 6
"""With fewer comparisons nothing is said."""

EXCEEDED = 1 / 20
"""How often two equal backends may still differ by more than the noise floor."""


def floor_of(ratios: Sequence[Estimate]) -> float | None:
    """The relative difference that a comparison of two equal backends exceeds at most 1 time in 20.

    Of the n cases' |log ratio| d, which would be 0 on a perfect machine, it is exp(b) - 1, b the largest of

    - (20^(1/n) - 1) * sum(d). Where d follows the exponential law a further d is beyond this 1 time in 20
      exactly, as P(d > c * sum of n others) = (1 + c)^-n. That law is heavy-tailed on purpose, for cases are
      not equally noisy: simulated with 8 normal d it is exceeded 2 times in 100, with Student's law of 3
      degrees 5 times, with a half of the cases 20 times as noisy as the other 9 times.
    - the largest d. Alone it would not do: of n + 1 like values the last is the largest 1 time in n + 1,
      which for 8 cases is 1 in 9.
    - the median half width of the intervals of log ratio: what a typical comparison can't resolve is not
      called small because the values happened to lie near 1. The median, since a case with a wide interval
      carries that interval into its own verdicts and need not blur all others'.

    A verdict asks more, that the whole interval be beyond the floor, so wrong calls are rarer still.

    Args:
        ratios: one for each case; those without a bounded interval are left out.

    Returns:
        The floor, e.g. 0.013 for 1.3 %; None with fewer than MIN_CASES usable ratios.
    """
    usable = [r for r in ratios if 0 < r.low <= r.value <= r.high and math.isfinite(r.high)]
    if len(usable) < MIN_CASES:
        return None
    apart = [abs(math.log(r.value)) for r in usable]
    widths = [math.log(r.high / r.low) / 2 for r in usable]
    factor = math.pow(EXCEEDED, -1 / len(apart)) - 1
    return math.expm1(max(factor * math.fsum(apart), *apart, median(widths)))


def in_words(floor: float | None) -> str:
    """The noise floor as a sentence."""
    if floor is None:
        return "noise floor: not measured"
    # Rounded up: what is promised holds for the figure that is read.
    shown = math.ceil(floor * 1000 - 1e-9) / 10
    return f"two identical backends differ by up to {shown:.1f} % here; differences below that are not called"
