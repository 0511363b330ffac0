"""Comparison of outcomes: medians, ratios within rounds, the share of the ceiling, the fastest of a case."""

from __future__ import annotations

import math
from collections.abc import Sequence

from suite import stats
from suite.analysis.outcomes import Key, Outcome
from suite.cases.case import Case
from suite.records.record import Clock, Environment, Record
from suite.stats import Estimate, Rounds


def noise_floor(environment: Environment) -> float:
    """How far apart that machine puts equal things: as measured, else as assumed."""
    known = environment.noise_floor
    return stats.ASSUMED_NOISE_FLOOR if known is None else known


def rank(group: Sequence[Outcome], floor: float) -> tuple[list[Outcome], set[Key]]:
    """One case's outcomes, fastest first, failures last; and which of them nothing tells from the fastest.

    One is told from the fastest if ``suite.compare`` would call it SLOWER: if the whole interval of the ratio
    of their times is beyond the noise floor. Under 6 rounds there is no interval, and nothing is told.
    """
    done = [o for o in group if o.record.samples]
    clocks = {o.record.clock for o in done}
    clock = clocks.pop() if len(clocks) == 1 else "call"
    done.sort(key=lambda o: stats.median(rounds(o.record, clock)).value)
    best = {o.key for o in done[1:] if stats.verdict(slowdown(o, done[0]), floor) != "SLOWER"}
    return done + [o for o in group if not o.record.samples], best | {o.key for o in done[:1]}


def rounds(record: Record, clock: Clock | None) -> Rounds:
    """A record's samples by that clock; none where it was not read."""
    if record.samples is None or clock is None:
        return ()
    return (record.samples.kernel_s if clock == "kernel" else record.samples.call_s) or ()


def median(outcome: Outcome) -> Estimate:
    """The time of one lookup in seconds, by the outcome's own clock; nan where there is none."""
    return stats.median(rounds(outcome.record, outcome.record.clock))


def is_bounded(estimate: Estimate) -> bool:
    """Whether there were rounds enough for an interval: one that reaches infinity is none."""
    return math.isfinite(estimate.high) and estimate.low > 0


def slowdown(a: Outcome, b: Outcome) -> Estimate:
    """How many times longer ``a`` takes than ``b``, by the clock both have.

    From within their rounds where they took turns with each other, else from the two medians.
    """
    clock = common_clock(a, b)
    times, base = rounds(a.record, clock), rounds(b.record, clock)
    if a.run == b.run and a.record.measurement == b.record.measurement:
        return stats.ratio(times, base)
    return stats.quotient(stats.median(times), stats.median(base))


def common_clock(a: Outcome, b: Outcome) -> Clock | None:
    """The clock to compare two outcomes by: their own if it is the same one, else the call of each."""
    return a.record.clock if a.record.clock == b.record.clock else "call"


def ceiling_bytes(case: Case) -> int:
    """What the ceiling's copy moves: as many bytes read and written as the rows have."""
    return 2 * case.rows_bytes


def fraction_of_ceiling(outcome: Outcome) -> Estimate | None:
    """Its payload a second against that of the copy in the same rounds; null without a ceiling."""
    if outcome.ceiling is None or outcome.record.samples is None:
        return None
    clock = outcome.record.clock
    times, base = rounds(outcome.record, clock), rounds(outcome.ceiling, clock)
    if not base:
        return None
    slower = stats.ratio(times, base)
    share = outcome.record.case.payload_bytes / ceiling_bytes(outcome.record.case)
    high = share / slower.low if slower.low > 0 else math.inf
    return Estimate(share / slower.value, share / slower.high, high)
