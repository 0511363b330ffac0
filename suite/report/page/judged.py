"""Judgements for the page: how any two backends of a case compare, so that it only has to count."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from suite import stats
from suite.analysis import comparison
from suite.analysis.comparison import Judgement
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.report import matrix, sentences, tables, verdict

MOST_RECORDS = 20_000
"""Of more records each is judged against the fastest of its case only: of all pairs they are too many."""
RULES = {
    "phrases": verdict.PHRASES,
    "library": verdict.LIBRARY,
    "likely_from": 1 + comparison.LOWER_SPEED_FLOOR,
    "most_open": verdict.MOST_OPEN,
    "most_named": verdict.MOST_NAMED,
    "host_timed": tables.HOST_TIMED,
    "reason_length": tables.REASON_LENGTH,
    "wide": tables.WIDE,
    "steps": matrix.STEPS,
}
"""Words and limits of the report."""
CODES: tuple[Judgement, ...] = ("SLOWER", "SAME", "UNCLEAR", "FASTER", "LIKELY SLOWER", "LIKELY FASTER")


def judged(results: Results, baseline: str | None = None) -> dict[str, object]:
    """What the page needs to say of a choice of records what the report says of all.

    Returns:
        ``every``: whether all pairs are here. ``phrases``, ``library``, ``likely_from``, ``most_open``,
        ``most_named``, ``host_timed``, ``reason_length``, ``wide``, ``steps``: as the report has them. ``t``:
        the quantiles of Student's t of 1, 2, … degrees of freedom. ``places``: of each operation on each
        device of each run its noise floor, whether it ranks, the ``baseline`` asked for, or null, and the
        usual ones.
        ``ranked``: of each case of a place, its completed records as ``comparison.rank`` has them. ``pairs``:
        of each of these, five numbers a pair, (0, 1), (0, 2), …, (1, 2), …: what the second is against the
        first, as a place in CODES; the logarithm of how many times longer it takes, in 1e-6; how far its
        interval reaches below and above, likewise, -1 where unbounded; and by how much the logarithm differs
        if the first is held against the second: the middle of two ratios is not that of their inverses.
    """
    numbers = {id(outcome): number for number, outcome in enumerate(results.outcomes)}
    every = len(results.outcomes) <= MOST_RECORDS
    ranked, pairs, most = list[list[int]](), list[list[int]](), 2
    for (run, _, _), here in tables.places(results).items():
        floor = comparison.noise_floor(results.environments[run])
        groups = _completed(here)
        most = max(most, len(groups))
        for group in groups.values():
            order = comparison.rank(group, floor)[0]
            ranked.append([numbers[id(outcome)] for outcome in order])
            pairs.append(_pairs(order if every else order[:1], order, floor))
    return {
        **RULES,
        "every": every,
        "t": [float(f"{stats.t_quantile(df):.6g}") for df in range(1, most)],
        "places": list(_places(results, baseline)),
        "ranked": ranked,
        "pairs": pairs,
    }


def _places(results: Results, baseline: str | None) -> Iterator[dict[str, object]]:
    baselines = sentences.by_operation(results, baseline)
    for (run, _, operation), here in tables.places(results).items():
        where = results.environments[run]
        yield {
            "floor": comparison.noise_floor(where),
            "ranks": not comparison.checks_only(where),
            "baseline": baselines.get(operation),
            "baselines": verdict.usual(here),
        }


def _completed(here: Sequence[Outcome]) -> dict[Case, list[Outcome]]:
    groups: dict[Case, list[Outcome]] = defaultdict(list)
    for outcome in here:
        if outcome.completed:
            groups[outcome.case].append(outcome)
    return groups


def _pairs(firsts: Sequence[Outcome], order: Sequence[Outcome], floor: float) -> list[int]:
    seconds = (order[place + 1 :] for place in range(len(firsts)))
    each = (_pair(b, a, floor) for a, rest in zip(firsts, seconds, strict=True) for b in rest)
    return list(itertools.chain.from_iterable(each))


def _pair(a: Outcome, b: Outcome, floor: float) -> tuple[int, int, int, int, int]:
    ratio = comparison.slowdown(a, b)
    said = comparison.judgement(a, b, floor, ratio)
    value = _log(ratio.value)
    back = -value - _log(comparison.slowdown(b, a).value)
    if not ratio.bounded:
        return CODES.index(said), value, -1, -1, back
    return CODES.index(said), value, value - _log(ratio.low), _log(ratio.high) - value, back


def _log(ratio: float) -> int:
    return round(1e6 * math.log(ratio))
