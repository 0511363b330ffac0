"""A machine made up: runs whose passes, rounds and speed scatter as told, and whose meter shows the speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suite import stats
from suite.analysis.passes import FEWEST_PASSES
from suite.stats import FEWEST_ROUNDS, Estimate

METER_S = 15e-6


@dataclass(frozen=True)
class Machine:
    """How much its times scatter, relative; every result takes 1 s at full speed.

    Attributes:
        passes: standard deviation between passes, of each result in turn; shorter ones are repeated.
        rounds: between the rounds of a pass; the meter scatters as much.
        slowed: how many times longer all takes in a slow round, and ``slow`` the share of such rounds.
    """

    passes: tuple[float, ...] = (0.04,)
    rounds: float = 0.01
    slowed: float = 1.4
    slow: float = 0.5


def run(machine: Machine, rng: np.random.Generator, results: int, passes: int, rounds: int) -> list[Estimate]:
    """What a run says of each of its results, from the rounds at full speed by the meter alone."""
    shape = (results, passes, rounds)
    scatter = np.resize(machine.passes, results)[:, None]
    speed = np.where(rng.random(shape) < machine.slow, machine.slowed, 1.0)
    times = speed * np.exp(rng.normal(0, machine.rounds, shape))
    times *= np.exp(scatter * rng.normal(0, 1, (results, passes)))[:, :, None]
    meter = METER_S * speed * np.exp(rng.normal(0, machine.rounds, shape))
    most = stats.low_quantile(meter.ravel().tolist()) * (1 + stats.FULL_SPEED_TOLERANCE)
    values = [_of_passes(times[k], meter[k] <= most) for k in range(results)]
    known = [of for of in values if len(of) >= FEWEST_PASSES]
    spread = stats.spread_of(known)
    return [stats.over_passes(of, spread) for of in known]


def _of_passes(times: np.ndarray, full_speed: np.ndarray) -> Sequence[float]:
    """The medians of the passes of one result that have enough rounds at full speed."""
    chosen = [of[flags].tolist() for of, flags in zip(times, full_speed, strict=True)]
    return [stats.order_statistics(of).value for of in chosen if len(of) >= FEWEST_ROUNDS]


def covered(
    machine: Machine, results: int, passes: int, least: int, rounds: int = 12, seed: int = 1
) -> tuple[float, float]:
    """The share of 95 % intervals that hold the truth: of results, and of ratios between two runs.

    Args:
        least: runs are simulated in pairs, until there are so many ratios.
    """
    rng = np.random.default_rng(seed)
    found: list[Estimate] = []
    ratios: list[Estimate] = []
    while len(ratios) < least:
        a, b = (run(machine, rng, results, passes, rounds) for _ in range(2))
        found += [*a, *b]
        ratios += [stats.quotient(one, other) for one, other in zip(a, b, strict=False)]
    return _holding(found), _holding(ratios)


def _holding(estimates: Sequence[Estimate]) -> float:
    return sum(one.low <= 1 <= one.high for one in estimates) / len(estimates)
