"""The noise floor: how far apart a machine puts two backends that are the same one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist, median

from suite.stats import CONFIDENCE, Estimate

MIN_CASES = 6
"""With fewer comparisons nothing is said."""

Ratios = Callable[[str], Sequence[Estimate]]
"""Measure a backend against itself on a device; one ratio of times a case."""


def noise_floor(device: str, ratios: Ratios | None) -> float | None:
    """The noise floor of a device, by the engine that ``ratios`` runs; None if there is none or it failed.

    Args:
        device: ``cpu`` or ``cuda:N``.
        ratios: see Ratios. None: there is nothing to measure with.
    """
    return None if ratios is None else floor_of(ratios(device))


def floor_of(ratios: Sequence[Estimate]) -> float | None:
    """The relative difference that a comparison of two equal backends exceeds at most 1 time in 20.

    Of every case's log ratio d, whose truth is 0, the floor is exp(b) - 1 with b the largest of

    - t * sqrt(mean(d^2)), t the 97.5 % quantile of Student's law with as many degrees of freedom as cases
      (none is lost, the mean is known to be 0). For normal d a further |d| is beyond it 1 time in 20 exactly.
      The largest |d| alone would not do: of n + 1 exchangeable values the last is the largest 1 time in
      n + 1, one time in 9 for 8 cases.
    - the largest |d| that was seen, so that one bad case among good ones, which is no normal law, is not
      averaged away.
    - the median half width of the intervals of d: what a typical comparison can't resolve is not claimed
      to be small because the values happened to lie near 1. The median, since a case with a wide interval
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
    logs = [math.log(r.value) for r in usable]
    typical = math.sqrt(math.fsum(d * d for d in logs) / len(logs))
    widths = [math.log(r.high / r.low) / 2 for r in usable]
    return math.expm1(max(_student(len(logs)) * typical, *map(abs, logs), median(widths)))


def _student(freedom: int) -> float:
    """The two-sided quantile at CONFIDENCE, within 0.001 from 6 on (Abramowitz and Stegun 1964, 26.7.5)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / math.pow(freedom, power) for power, term in enumerate(terms, 1))


def in_words(floor: float | None) -> str:
    """The noise floor as a sentence."""
    if floor is None:
        return "noise floor: not measured"
    # Rounded up: what is promised holds for the figure that is read.
    shown = math.ceil(floor * 1000 - 1e-9) / 10
    return f"two identical backends differ by up to {shown:.1f} % here; differences below that are not called"
