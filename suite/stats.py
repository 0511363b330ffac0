"""Medians, their intervals, ratios within rounds, verdicts: plain numbers in and out."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Sequence
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


def shown_from(times: Estimate, noise_floor: float) -> float:
    """The least ratio that would be SLOWER or, inverted, FASTER if its interval were as wide as this one.

    Infinite where there is no interval.
    """
    if not times.bounded:
        return math.inf
    return max(times.value / times.low, times.high / times.value) * (1 + noise_floor)


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive values; nan for none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


@dataclass(frozen=True, slots=True)
class Spread:
    """How much the passes of a run scatter, known from all its results together; logarithms, so relative.

    Attributes:
        sd: standard deviation of one pass about the mean of many. df: how many degrees of freedom that is
            worth beside a result's own passes; 0 of too few results.
    """

    sd: float = 0.0
    df: float = 0.0


FEWEST_GROUPS = 4
"""From fewer results than these no common spread is taken."""


def spread_of(groups: Iterable[Sequence[float]]) -> Spread:
    """The spread that the results of a run have in common, by the moments of their log variances.

    Three passes say little of how much one result scatters, some hundred results say how much results do.
    Model and fit are those of Smyth, Linear Models and Empirical Bayes Methods (2004), section 6.2: a
    result's variance is its own, drawn about a common one.

    Args:
        groups: of each result its value in each pass, positive; nan is no value.
    """
    logs = [[math.log(value) for value in group if not math.isnan(value)] for group in groups]
    found = [(_variance(values), len(values) - 1) for values in logs if len(values) > 1]
    positive = sorted(variance for variance, _ in found if variance > 0)
    if len(positive) < FEWEST_GROUPS:
        return Spread()
    least = 1e-5 * positive[len(positive) // 2]  # a variance of 0 has no logarithm
    e = [math.log(max(v, least)) - _digamma(d / 2) + math.log(d / 2) for v, d in found]
    mean = sum(e) / len(e)
    own = sum(_trigamma(d / 2) for _, d in found) / len(found)
    beyond = sum((one - mean) ** 2 for one in e) / (len(e) - 1) - own
    known = float(sum(d for _, d in found))  # a spread is known no better than by all the passes
    if beyond <= 0:
        return Spread(math.exp(mean / 2), known)
    half = _inverse_trigamma(beyond)
    return Spread(math.exp((mean + _digamma(half) - math.log(half)) / 2), min(2 * half, known))


def over_passes(values: Sequence[float], spread: Spread, confidence: float = CONFIDENCE) -> Estimate:
    """The geometric mean of a result's passes, and its interval by Student's t (moderated: Smyth 2004).

    A pass is the unit: what a process gets once (addresses, pages) all its rounds share, and the hour's
    state of the machine too. Their common spread adds its degrees of freedom to the result's own. Unbounded
    where there are none: of one pass among few results.
    """
    logs = [math.log(value) for value in values if not math.isnan(value)]
    n = len(logs)
    if not n:
        return Estimate(math.nan, 0.0, math.inf)
    mean = sum(logs) / n
    df = spread.df + n - 1
    if df < 1:
        return Estimate(math.exp(mean), 0.0, math.inf)
    own = _variance(logs) if n > 1 else 0.0
    variance = (spread.df * spread.sd**2 + (n - 1) * own) / df
    half = t_quantile(df, confidence) * math.sqrt(variance / n)
    return Estimate(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def over_cases(values: Sequence[float]) -> Estimate:
    """The geometric mean of one figure's values in several cases, with the interval of Student's t.

    How far another set of such cases would be from these. Unbounded for one case.
    """
    return over_passes(values, Spread())


def halves_ratio(values: Sequence[float], spread: Spread) -> Estimate:
    """The time of a result in its odd passes over that in its even ones, as if they were two runs.

    Args:
        values: of each pass, in order; nan is no value.
    """
    odd, even = (over_passes(values[k::2], spread) for k in (0, 1))
    return quotient(odd, even)


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


@functools.lru_cache(4096)
def t_quantile(df: float, confidence: float = CONFIDENCE) -> float:
    """The quantile of Student's t that leaves as much outside on each side (Hill, CACM Algorithm 396, 1970).

    Args:
        df: degrees of freedom, 1 or more, not necessarily whole; infinite for the normal distribution.
    """
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    if math.isinf(df):
        return z
    if df < 2:  # where the approximation fails: as of 1, which is no less
        return math.tan(math.pi / 2 * confidence)
    tail, x = 1 - confidence, -z
    a = 1 / (df - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * df
    y = (d * tail) ** (2 / df)
    if y > 0.05 + a:
        c += 0.3 * (df - 4.5) * (x + 0.6) if df < 5 else 0.0
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * x * x + 6.3) * x * x + 36) * x * x + 94.5) / c - x * x - 3) / b + 1) * x
        return math.sqrt(df * math.expm1(a * y * y))
    y = ((1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)) * y - 1) * (
        (df + 1) / (df + 2)
    ) + 1 / y
    return math.sqrt(df * y)


def _digamma(x: float) -> float:
    """By recurrence to 6 and more, then the asymptotic series (Abramowitz and Stegun, 6.3.18)."""
    shift = 0.0
    while x < 6:
        shift -= 1 / x
        x += 1
    y = 1 / x**2
    return shift + math.log(x) - 1 / (2 * x) - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y / 240)))


def _trigamma(x: float) -> float:
    """By recurrence to 6 and more, then the asymptotic series (Abramowitz and Stegun, 6.4.12)."""
    shift = 0.0
    while x < 6:
        shift += 1 / x**2
        x += 1
    y = 1 / x**2
    return shift + 1 / x + y / 2 + y / x * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y / 30)))


def _inverse_trigamma(y: float) -> float:
    """The x at which it has this value, by halving on a log scale; between 1e-8 and 1e8."""
    low, high = -18.5, 18.5
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _trigamma(math.exp(middle)) > y else (low, middle)
    return math.exp(low)


FULL_SPEED_TOLERANCE = 0.06
"""A turn is at full speed if the meter's readings around it are no further above its best."""
FULL_SPEED_QUANTILE = 0.02
"""Of the meter's readings, so many may be below its best: a single one may be a mistake of the clock."""


def low_quantile(values: Sequence[float]) -> float:
    """The quantile of the meter's readings that counts as its best; the least of fewer than 50."""
    return sorted(values)[int(FULL_SPEED_QUANTILE * len(values))]


FEWEST_ROUNDS = 3
"""With fewer rounds at full speed a pass does not count."""


def full_speed(readings: Iterable[tuple[int | None, Iterable[Sequence[float]]]]) -> dict[int, float]:
    """What the meter reads at full speed in seconds, by its number of threads.

    Args:
        readings: of each contender the number of threads, null without a meter, and by turn what was read.
    """
    found: dict[int, list[float]] = {}
    for threads, turns in readings:
        if threads is not None:
            found.setdefault(threads, []).extend(one for turn in turns for one in turn)
    return {threads: low_quantile(of) for threads, of in found.items() if of}


MISSED = 1 / 20
"""So many comparisons of equal things an interval misses by itself, which is no fault of the machine."""
LEAST_FLOOR = 0.01
"""No machine is trusted with less. Of 12 cases in two environments on a shared virtual machine, intervals
alone called 2 pairs of equal backends different, with 0.5 % none (python -m tests.tools.changes)."""


def floor_of(ratios: Iterable[Estimate], fewest: int) -> float | None:
    """The noise floor that comparisons of equal things show: beyond it no more than 1 in 20 is called.

    An interval knows how samples scatter, not that equal things may be unequal: memory placed otherwise,
    drift between turns. So it is by how much intervals miss 1, not how wide they are.

    Args:
        ratios: of equal things; unbounded ones are left out. fewest: with fewer the floor is unknown.

    Returns:
        The floor, such as 0.013 for 1.3 %, at least LEAST_FLOOR.
    """
    missed = sorted(
        (max(math.log(r.low), -math.log(r.high)) for r in ratios if r.bounded and r.low <= r.high),
        reverse=True,
    )
    if len(missed) < fewest:
        return None
    return max(LEAST_FLOOR, math.expm1(missed[int(MISSED * len(missed))]))
