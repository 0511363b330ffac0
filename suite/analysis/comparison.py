"""Comparison of outcomes: medians, ratios within rounds, the share of the ceiling, the fastest of a case."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite import stats
from suite.analysis.outcomes import Key, Outcome
from suite.records.record import Clock, Environment
from suite.stats import Estimate


def noise_floor(environment: Environment) -> float:
    """The relative difference of equal things on that machine: as measured, else as assumed."""
    known = environment.noise_floor
    return stats.ASSUMED_NOISE_FLOOR if known is None else known


def rank(group: Sequence[Outcome], floor: float) -> tuple[list[Outcome], set[Key]]:
    """One case's outcomes, fastest first, failures last; and the keys of the fastest and those tied with it.

    One is tied with the fastest unless ``suite.compare`` would call it SLOWER: unless the whole interval of
    the ratio of their times is beyond the noise floor. With fewer than 6 rounds there is no interval, and all
    are tied.
    """
    done = [o for o in group if o.completed]
    clocks = {o.clock for o in done}
    clock = clocks.pop() if len(clocks) == 1 else "call"
    done.sort(key=lambda o: stats.order_statistics(o.times(clock)).value)
    best = {o.key for o in done[1:] if stats.verdict(slowdown(o, done[0]), floor) != "SLOWER"}
    return done + [o for o in group if not o.completed], best | {o.key for o in done[:1]}


def median(outcome: Outcome) -> Estimate:
    """The time of one lookup in seconds, by the outcome's own clock; nan of a failure."""
    return stats.order_statistics(outcome.rounds)


def slowdown(a: Outcome, b: Outcome) -> Estimate:
    """How many times longer ``a`` takes than ``b``, by the clock both have.

    From within their rounds where they took turns with each other, else from the two medians.
    """
    clock = common_clock(a, b)
    times, base = a.times(clock), b.times(clock)
    if a.run == b.run and a.measurement == b.measurement:
        return stats.order_statistics(stats.ratios(times, base))
    return stats.quotient(stats.order_statistics(times), stats.order_statistics(base))


def common_clock(a: Outcome, b: Outcome) -> Clock | None:
    """The clock to compare two outcomes by: their own if it is the same one, else the call of each."""
    return a.clock if a.clock == b.clock else "call"


def ceiling_ratios(outcome: Outcome) -> list[float]:
    """How many times longer each round took than the ceiling's copy in it; empty without a ceiling."""
    return stats.ratios(outcome.rounds, outcome.ceiling.times(outcome.clock)) if outcome.ceiling else []


def ceiling_bytes_per_s(outcome: Outcome) -> float | None:
    """What the ceiling's copy moves a second, by the outcome's clock; null without a ceiling."""
    if outcome.ceiling is None:
        return None
    return outcome.case.ceiling_bytes / stats.order_statistics(outcome.ceiling.times(outcome.clock)).value


def ceiling_share(outcome: Outcome) -> float:
    """The share of the ceiling of a lookup as fast as the copy: its payload over the copy's bytes."""
    return outcome.case.payload_bytes / outcome.case.ceiling_bytes


def fraction_of_ceiling(outcome: Outcome) -> Estimate | None:
    """Its payload a second over the bytes a second of the copy in the same rounds; null without a ceiling."""
    slower = stats.order_statistics(ceiling_ratios(outcome))
    return None if math.isnan(slower.value) else stats.inverse(ceiling_share(outcome), slower)
