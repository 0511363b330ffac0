"""The batch from which on a lookup is bound by bandwidth, not by its fixed cost: plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from suite.stats import Estimate


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(a, b) of seconds = a + b · bytes, least squares of the relative errors.

    R. W. Hockney's two parameters follow from it: the speed at infinite length 1/b, and the half-performance
    length a/b in bytes.

    Args:
        points: (bytes, seconds), two or more with different bytes.
    """
    # Each equation a/t + b·x/t = 1, so that a microsecond counts as much at 5 µs as a second at 5 s does.
    u = [1 / t for _, t in points]
    v = [x / t for x, t in points]
    uu, uv, vv = (sum(map(math.prod, zip(p, q, strict=True))) for p, q in ((u, u), (u, v), (v, v)))
    su, sv = sum(u), sum(v)
    det = uu * vv - uv * uv
    return (su * vv - sv * uv) / det, (uu * sv - uv * su) / det


def reaches(speed: Estimate, least: float) -> bool:
    """Whether the upper end of its interval is at least that; without an interval, whether its value is."""
    return (speed.high if math.isfinite(speed.high) else speed.value) >= least


def crossing(speeds: Mapping[int, Estimate], least: float) -> float | None:
    """The batch from which on all speeds reach ``least``, interpolated on log scales; None if none does."""
    batches = sorted(speeds)
    begins: float | None = None
    for low, high in zip([None, *batches], batches, strict=False):
        if not reaches(speeds[high], least):
            begins = None
        elif begins is None:
            begins = float(high) if low is None else _between(low, high, speeds, least)
    return begins


def _between(low: int, high: int, speeds: Mapping[int, Estimate], least: float) -> float:
    before, after = speeds[low].value, speeds[high].value
    if after <= least:  # only its interval reaches it
        return float(high)
    climbed = math.log(least / before) / math.log(after / before)
    return math.exp(math.log(low) + climbed * (math.log(high) - math.log(low)))
