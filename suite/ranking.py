"""Who is fastest on a case, and who can't be told from it: one rule for terminal, files and page."""

from __future__ import annotations

from collections.abc import Sequence

from suite import outcomes, stats
from suite.outcomes import Key, Outcome
from suite.record import Environment


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
    done.sort(key=lambda o: stats.median(outcomes.rounds(o.record, clock)).value)
    best = {o.key for o in done[1:] if stats.verdict(outcomes.slowdown(o, done[0]), floor) != "SLOWER"}
    return done + [o for o in group if not o.record.samples], best | {o.key for o in done[:1]}
