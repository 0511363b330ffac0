"""Unchanged: what took turns with an outcome on both sides and is the same there, to read it against."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from suite import stats
from suite.analysis.columns import packages_of
from suite.analysis.outcome import Key, Outcome
from suite.analysis.passes import kind_of
from suite.compare.sides import Side
from suite.records.record import Environment
from suite.stats import Estimate, Spread

NAME = "unchanged"
"""What ``--relative-to`` calls it."""
COPY = "the copy"

Pair = tuple[Outcome, Outcome]
Logs = list[float]
"""Logarithms of a time in each pass; nan where no round of the pass counts."""


@dataclass
class Unchanged:
    """Reads outcomes of two runs against what is beside them and is the same in both.

    The speed of a machine's memory drifts by several percent from minute to minute, of which the meter knows
    nothing; what takes turns in a pass drifts together (``python -m tests.tools.layouts``). So each pass is
    read against the mean of the others in it whose file and packages are the same in both runs, each about
    its own mean over the two runs. The copy is one of them.
    """

    logs: dict[Key, tuple[Logs, Logs]] = field(default_factory=dict)
    spreads: tuple[Mapping[object, Spread], ...] = ()

    @classmethod
    def of(cls, a: Side, b: Side, pairs: Sequence[Pair], outcomes: Sequence[Outcome]) -> Unchanged:
        """Of pairs that both completed, and all outcomes of both runs."""
        beside = [_beside(side, outcomes) for side in (a, b)]
        made = cls()
        for one, other in pairs:
            named = [of.get(_place(o), {}) for of, o in zip(beside, (one, other), strict=True)]
            same = [
                (x, named[1][name])
                for name, x in named[0].items()
                if name not in (one.backend, other.backend)
                and name in named[1]
                and _same(x, named[1][name], a, b)
            ]
            if same:
                made.logs[one.key] = _read(one, other, same)
        by_kind: list[dict[object, list[list[float]]]] = [defaultdict(list), defaultdict(list)]
        for one, _ in pairs:
            for side, logs in enumerate(made.logs.get(one.key, ())):
                by_kind[side][kind_of(one)].append([math.exp(log) for log in logs])
        made.spreads = tuple({kind: stats.spread_of(of) for kind, of in kinds.items()} for kinds in by_kind)
        return made

    def ratio(self, a: Outcome, b: Outcome) -> Estimate | str:
        """The time of B over that of A, each against what is beside it; in words why there is none."""
        if a.key not in self.logs:
            return "nothing unchanged beside it"
        of_a, of_b = (
            stats.over_passes([math.exp(log) for log in logs], spreads[kind_of(a)])
            for logs, spreads in zip(self.logs[a.key], self.spreads, strict=True)
        )
        return stats.quotient(of_b, of_a)


def _place(outcome: Outcome) -> object:
    return outcome.device, outcome.case, outcome.environment


def _beside(side: Side, outcomes: Sequence[Outcome]) -> dict[object, dict[str, Outcome]]:
    """By place, all of a side's run that can be read against, by name."""
    found: dict[object, dict[str, Outcome]] = defaultdict(dict)
    for one in outcomes:
        if one.run == side.run and one.decides:
            found[_place(one)][one.backend] = one
            if one.ceiling is not None and one.ceiling.decides:
                found[_place(one)][COPY] = one.ceiling
    return found


def _same(one: Outcome, other: Outcome, a: Side, b: Side) -> bool:
    """Whether two outcomes are of the same code: copies of one kind, or a file with its packages."""
    if one.backend != other.backend or one.clock != other.clock:
        return False
    is_copy = one.backend.startswith("copy_")
    known = [_digest(one, a.where), _digest(other, b.where)]
    packages = packages_of(one, a.where) == packages_of(other, b.where)
    return is_copy or (known[0] is not None and known[0] == known[1] and packages)


def _digest(one: Outcome, where: Environment) -> object:
    return where.digests.get(f"backend {one.backend}")


def _read(one: Outcome, other: Outcome, same: Sequence[Pair]) -> tuple[Logs, Logs]:
    """Both outcomes' logarithms by pass, over the mean of the others in it."""
    base: tuple[list[Logs], list[Logs]] = ([], [])
    for pair in same:
        logs = [_logs(o) for o in pair]
        level = fmean(_mean(of) for of in logs)
        for side, of in zip(base, logs, strict=True):
            side.append([log - level for log in of])
    mine, theirs = (
        [log - _mean([of[k] for of in side if k < len(of)]) for k, log in enumerate(_logs(o))]
        for o, side in zip((one, other), base, strict=True)
    )
    return mine, theirs


def _logs(outcome: Outcome) -> Logs:
    logs, counted, start = [], set(outcome.counted), 0
    for count in outcome.passes:
        own = [outcome.rounds[k] for k in range(start, start + count) if k in counted]
        logs.append(math.log(stats.order_statistics(own).value) if own else math.nan)
        start += count
    return logs


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan
