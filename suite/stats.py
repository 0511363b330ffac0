"""Medians, their intervals, ratios within rounds, verdicts: plain numbers in and out."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Rounds = Sequence[Sequence[float]]
Verdict = Literal["SAME", "FASTER", "SLOWER", "UNCLEAR"]

CONFIDENCE = 0.95
Z95 = 1.959964
"""The normal quantile that leaves 2.5 % outside on each side."""
ASSUMED_NOISE_FLOOR = 0.02
"""The noise floor assumed until it is measured."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def precision(self) -> float:
        """Half the interval's width, relative to the value."""
        return (self.high - self.low) / 2 / self.value if self.value else math.inf

    @property
    def bounded(self) -> bool:
        """Whether there were enough values for an interval; one that reaches 0 or infinity is none."""
        return self.low > 0 and math.isfinite(self.high)


def round_medians(rounds: Rounds) -> list[float]:
    """The median of each round that has samples, in order."""
    return [_median(samples) for samples in rounds if len(samples)]


def _median(samples: Sequence[float]) -> float:
    return samples[0] if len(samples) == 1 else _middle(sorted(samples))


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median(rounds: Rounds) -> Estimate:
    """The median over rounds of the rounds' medians; the round is the unit of variation."""
    return order_statistics(round_medians(rounds))


def order_statistics(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The median of independent values and its interval (Conover, Practical Nonparametric Statistics, 3.2).

    It assumes no distribution, and is unbounded while there are too few values for 95 %: under 6. A nan, of a
    round without samples, is no value.
    """
    ordered = sorted(value for value in values if not math.isnan(value))
    n = len(ordered)
    if not n:
        return Estimate(math.nan, 0.0, math.inf)
    rank = interval_rank(n, confidence)
    if rank < 1:
        return Estimate(_middle(ordered), 0.0, math.inf)
    return Estimate(_middle(ordered), ordered[rank - 1], ordered[n - rank])


@functools.cache
def interval_rank(n: int, confidence: float = CONFIDENCE) -> int:
    """The largest r for which [x(r), x(n+1-r)] covers the median at that confidence; 0 if none does."""
    tail, rank, half = 0.0, 0, math.lgamma(n + 1) - n * math.log(2)
    while (
        True
    ):  # a term of the binomial distribution; by logarithms, as 0.5 ** n is 0 for a thousand rounds and more
        tail += math.exp(half - math.lgamma(rank + 1) - math.lgamma(n - rank + 1))
        if 2 * tail > 1 - confidence:
            return rank
        rank += 1


def ratio(times: Rounds, base: Rounds) -> Estimate:
    """How many times longer ``times`` are than ``base``, from within the rounds both took part in.

    The value is the median over rounds of the ratio of the rounds' medians, with its interval by order
    statistics, as for ``median``. Unbounded under 6 rounds.

    Args:
        times: samples in seconds, by round. base: the same rounds of what it is compared with.
    """
    shared = [(a, b) for a, b in zip(times, base, strict=False) if len(a) and len(b)]
    return order_statistics([_median(a) / _median(b) for a, b in shared])


def ratios(medians: Sequence[float], base: Sequence[float]) -> list[float]:
    """How many times longer each round took than the same round of ``base``, from the rounds' medians.

    Nan where either has no samples; rounds that only one has are left out.
    """
    return [a / b for a, b in zip(medians, base, strict=False)]


def inverse(amount: float, estimate: Estimate) -> Estimate:
    """An amount over an estimate, such as bytes over a time; unbounded where the estimate is."""
    high = amount / estimate.low if estimate.low > 0 else math.inf
    return Estimate(amount / estimate.value, amount / estimate.high, high)


def quotient(a: Estimate, b: Estimate) -> Estimate:
    """The ratio of two estimates that share no rounds: intervals of both, combined on a log scale."""
    value = a.value / b.value
    if not (a.bounded and b.bounded):
        return Estimate(value, 0.0, math.inf)
    below = math.hypot(math.log(a.value / a.low), math.log(b.high / b.value))
    above = math.hypot(math.log(a.high / a.value), math.log(b.value / b.low))
    return Estimate(value, value * math.exp(-below), value * math.exp(above))


def verdict(times: Estimate, noise_floor: float) -> Verdict:
    """What a ratio of times says, given the noise floor: how much equal things differ on this machine.

    SLOWER or FASTER if the whole interval is beyond the noise floor; SAME if all of it is within; else
    UNCLEAR.
    """
    bound = 1 + noise_floor
    if times.low > bound:
        return "SLOWER"
    if times.high < 1 / bound:
        return "FASTER"
    return "SAME" if times.low >= 1 / bound and times.high <= bound else "UNCLEAR"


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive values; nan for none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


FULL_SPEED_TOLERANCE = 0.06
"""A turn is at full speed if none of its meter's readings is further above the fastest."""
FULL_SPEED_QUANTILE = 0.02
"""The fastest is this quantile of the readings: the very least may be a slip of the clock."""


def low_quantile(values: Sequence[float]) -> float:
    """The quantile that stands for the fastest; the least of fewer than 50 values. At least one is needed."""
    return sorted(values)[int(FULL_SPEED_QUANTILE * len(values))]
