"""Comparison of outcomes: medians, ratios within rounds, the share of the ceiling, the fastest of a case."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from suite import stats
from suite.analysis.outcome import Key, Outcome
from suite.analysis.outcomes import Results
from suite.analysis.passes import common_clock, ratios_of_rounds
from suite.analysis.reduce import Timing
from suite.cases.case import Case
from suite.records.record import Environment
from suite.stats import Estimate, Spread, Verdict

LOWER_SPEED_FLOOR = 0.3
"""A ratio taken below full speed says what is likely if it is beyond this. One in twenty is off by 1.3x and
more; of 1,513 apart by 1.3x and more 3 were not so at full speed (python -m tests.tools.lower_speed)."""
Judgement = Literal[Verdict, "LIKELY SLOWER", "LIKELY FASTER"]
BEHIND: tuple[Judgement, ...] = ("SLOWER", "LIKELY SLOWER")


def noise_floor(environment: Environment) -> float:
    """The relative difference of equal things on that machine: as measured, else as assumed."""
    known = environment.noise_floor
    return stats.ASSUMED_NOISE_FLOOR if known is None else known


KERNELS = (
    *("cupy_bulk", "cupy_rawkernel", "cutile_gather", "numba_cpu", "numba_cuda", "triton_gather"),
    "warp_gather",
)
"""Kernels of this suite, for runs that do not say whose their backends are."""


def whose(backend: str, environment: Environment) -> str:
    """Whose code a backend is, in words: a library's, a kernel of this suite, or another's."""
    known = environment.whose.get(backend, "suite" if backend in KERNELS else "library")
    return "kernel of this suite" if known == "suite" else str(known)


def checks_only(environment: Environment) -> bool:
    """Whether a run was made to see that all runs and is right, in too few rounds to rank anything."""
    settings = environment.settings
    return settings.get("preset") == "smoke" and settings.get("passes") == 1


def rank(group: Sequence[Outcome], floor: float) -> tuple[list[Outcome], set[Key]]:
    """One case's outcomes, fastest first, failures last; and the keys of the fastest and those tied with it.

    Results of two clocks are never ranked together: where there are kernel times, these are ranked, and what
    only the host timed stands below them, by its call time, and is neither the fastest nor tied with it.
    One is tied with the fastest unless ``suite.compare`` would call it SLOWER: unless the whole interval of
    the ratio of their times is beyond the noise floor, and both were measured at full speed; or else beyond
    LOWER_SPEED_FLOOR, so that it is likely.
    """
    first, below = ranked(group)
    best = {o.key for o in first[1:] if judgement(o, first[0], floor) not in BEHIND}
    failed = [o for o in group if not o.completed]
    return [*first, *below, *failed], best | {o.key for o in first[:1]}


def ranked(group: Iterable[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The completed outcomes of a case that are ranked, fastest first, and those timed by another clock."""
    done = sorted((o for o in group if o.completed), key=lambda o: median(o).value)
    clock = "kernel" if any(o.clock == "kernel" for o in done) else "call"
    return [o for o in done if o.clock == clock], [o for o in done if o.clock != clock]


def times_fastest(group: Iterable[Outcome]) -> dict[str, float]:
    """How many times as long as the fastest of a case each ranked one takes, from within rounds, by name."""
    first, _ = ranked(group)
    return {o.name: slowdown(o, first[0]).value if o is not first[0] else 1.0 for o in first}


def contests(some: Iterable[Outcome]) -> dict[tuple[str, str, Case], list[Outcome]]:
    """Outcomes by what they are ranked within: a case on a device of a run."""
    groups: dict[tuple[str, str, Case], list[Outcome]] = defaultdict(list)
    for outcome in some:
        groups[outcome.run, outcome.device, outcome.case].append(outcome)
    return groups


def ranks(results: Results) -> dict[tuple[str, Key], int]:
    """The place of each ranked outcome within its case: 1 of the fastest and all tied with it.

    The others count on from there, the third being 3 where two are tied; none has a place that failed, that
    only the host timed where others have kernel times, or whose run does not rank.
    """
    places: dict[tuple[str, Key], int] = {}
    for (run, _, _), group in contests(results.outcomes).items():
        environment = results.environments[run]
        if checks_only(environment):
            continue
        _, best = rank(group, noise_floor(environment))
        first, _ = ranked(group)
        places |= {(run, o.key): 1 if o.key in best else k for k, o in enumerate(first, 1)}
    return places


def doubt(group: Sequence[Outcome], floor: float) -> float:
    """How far a case is from decided: 0 where its fastest is known, or its tie to be within the noise floor.

    Else the width of the widest interval that leaves it open, as a factor's logarithm; infinite where there
    is none, or what it is of was not measured at full speed.
    """
    first, _ = ranked(group)
    if len(first) == 1:
        return 0.0 if first[0].decides else math.inf
    open_to = [o for o in first[1:] if verdict(o, first[0], floor) in ("UNCLEAR", "FASTER")]
    return max((openness(o, first[0]) for o in open_to), default=0.0)


def openness(a: Outcome, b: Outcome) -> float:
    """How wide the interval of the ratio of two outcomes is, as the logarithm of a factor."""
    ratio = slowdown(a, b)
    known = a.decides and b.decides and ratio.bounded
    return math.log(ratio.high / ratio.low) if known else math.inf


def imprecision(group: Sequence[Outcome]) -> float:
    """The widest half interval among a case's results that miss the precision asked for; 0 if none do."""
    wide = [o for o in group if o.completed and o.converged is False]
    return max((median(o).precision for o in wide), default=0.0)


def median(outcome: Outcome, confidence: float = stats.CONFIDENCE) -> Estimate:
    """The time of one lookup in seconds, by the outcome's own clock; nan of a failure."""
    return time(outcome, outcome.clock, confidence)


def time(outcome: Outcome, timing: Timing | None, confidence: float = stats.CONFIDENCE) -> Estimate:
    """One of its times in seconds: over its passes where there are several, else over its rounds."""
    medians = outcome.times(timing)
    if not medians:
        return stats.order_statistics(())
    if len(outcome.passes) > 1:
        return stats.over_passes(outcome.by_pass(medians), outcome.spreads.times, confidence)
    return stats.order_statistics([medians[k] for k in outcome.counted], confidence)


def verdict(a: Outcome, b: Outcome, floor: float) -> stats.Verdict:
    """What can be said of ``a`` against ``b``; UNCLEAR where either was not measured at full speed."""
    return stats.verdict(slowdown(a, b), floor) if a.decides and b.decides else "UNCLEAR"


def judgement(a: Outcome, b: Outcome, floor: float, ratio: Estimate | None = None) -> Judgement:
    """The verdict, or what is likely where not both were at full speed: within rounds, both were slowed.

    Args:
        ratio: their slowdown, if it is known.
    """
    if a.decides and b.decides:
        return stats.verdict(ratio or slowdown(a, b), floor)
    if took_turns(a, b):
        said = stats.verdict(ratio or slowdown(a, b), LOWER_SPEED_FLOOR)
        if said == "SLOWER":
            return "LIKELY SLOWER"
        if said == "FASTER":
            return "LIKELY FASTER"
    return "UNCLEAR"


def took_turns(a: Outcome, b: Outcome) -> bool:
    """Whether two completed outcomes share their rounds."""
    return a.run == b.run and a.measurements == b.measurements


def slowdown(a: Outcome, b: Outcome) -> Estimate:
    """How many times longer ``a`` takes than ``b``, by the clock both have (``common_clock``).

    From within their rounds where they took turns with each other, else from the two times.
    """
    clock = common_clock(a, b)
    if took_turns(a, b):
        rounds = ratios_of_rounds(a.times(clock), a, b.times(clock), b)
        spreads = a.spreads if a.clock == clock else b.spreads
        one_process = a.environment == b.environment
        return _over_rounds(rounds, spreads.ratios if one_process else spreads.environments)
    return stats.quotient(time(a, clock), time(b, clock))


def _over_rounds(rounds: Sequence[Sequence[float]], spread: Spread) -> Estimate:
    """A ratio from its values within rounds, by pass."""
    if len(rounds) == 1:
        return stats.order_statistics(rounds[0])
    return stats.over_passes([stats.order_statistics(of).value for of in rounds], spread)


def ceiling_ratio(outcome: Outcome) -> Estimate:
    """How many times longer it took than the ceiling's copy in its rounds; nan without a ceiling."""
    copy = outcome.ceiling
    if copy is None or not copy.times(outcome.clock):
        return stats.order_statistics(())
    rounds = ratios_of_rounds(outcome.rounds, outcome, copy.times(outcome.clock), copy)
    return _over_rounds(rounds, outcome.spreads.copies)


def ceiling_bytes_per_s(outcome: Outcome) -> float | None:
    """What the ceiling's copy moves a second, by the outcome's clock; null without a ceiling."""
    if outcome.ceiling is None:
        return None
    return outcome.case.ceiling_bytes / time(outcome.ceiling, outcome.clock).value


def ceiling_share(outcome: Outcome) -> float:
    """The share of the ceiling of a lookup as fast as the copy: its payload over the copy's bytes."""
    return outcome.case.payload_bytes / outcome.case.ceiling_bytes


def fraction_of_ceiling(outcome: Outcome) -> Estimate | None:
    """Its payload a second over the bytes a second of the copy in the same rounds; null without a ceiling."""
    slower = ceiling_ratio(outcome)
    return None if math.isnan(slower.value) else stats.inverse(ceiling_share(outcome), slower)
