"""Pairs of outcomes: two runs, environments or backends, case by case, with ratios and verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.compare.sides import Side
from suite.compare.unchanged import NAME, Unchanged
from suite.records.record import Environment
from suite.stats import ASSUMED_NOISE_FLOOR, Estimate, Verdict

BETWEEN_PROCESSES = 0.05
"""The least noise floor between two runs of one pass each: at one speed of the processor the memory's drifts
by up to 4 % between them, of which an interval over the rounds of one pass knows nothing."""
BETWEEN_RUNS = 0.02
"""The least between two runs of several passes: of 1,080 pairs of equal results in ten runs intervals alone
called 5.6 % different, with 1 % 2.2 %, with this 0.8 % (python -m tests.tools.between_runs)."""

Key = tuple[object, ...]
RatioOf = Callable[[Outcome, Outcome], Estimate | str]
"""The time of B over that of A; in words why there is none."""
Base = Mapping[tuple[str, object, str | None], Outcome]
"""Outcomes of the backend that all are read against, by device, case and environment."""


@dataclass(frozen=True, slots=True)
class Basis:
    """By what outcomes are compared.

    Attributes:
        floor: the noise floor. origin: where it is from. asked: whether it was given, and holds everywhere.
        normalized: whether shares of each one's ceiling are compared.
        relative_to: the backend against which the others are read, on both sides; ``unchanged``: all that are
            the same there; null for none.
    """

    floor: float
    origin: str
    asked: bool = False
    normalized: bool = False
    relative_to: str | None = None

    def floor_of(self, a: Outcome, b: Outcome) -> float:
        """The noise floor of a pair."""
        same_rounds = a.run == b.run and a.measurements == b.measurements
        if self.asked or (same_rounds and a.environment == b.environment):
            return self.floor
        if min(len(a.passes), len(b.passes)) < 2:
            return max(self.floor, BETWEEN_PROCESSES)
        return self.floor if same_rounds else max(self.floor, BETWEEN_RUNS)


@dataclass(frozen=True, slots=True)
class Pair:
    """One case on both sides.

    Attributes:
        ratio: time of B over time of A, above 1 where B is slower; null where they can't be compared.
        verdict: of the ratio, by the noise ``floor``. left_out: why there is none.
    """

    a: Outcome | None
    b: Outcome | None
    ratio: Estimate | None = None
    verdict: Verdict | None = None
    floor: float = 0.0
    left_out: str | None = None

    @property
    def operation(self) -> str:
        """What the case computes."""
        known = self.a or self.b
        assert known is not None
        return known.case.operation

    @property
    def of_text(self) -> bool:
        """Whether both sides looked up the ids that the suite ships."""
        return bool(self.a and self.b and self.a.case.of_text)

    @property
    def slow_notes(self) -> list[str]:
        """That too few rounds of a side were at full speed, so that nothing of the pair is decided."""
        sides = (("A", self.a), ("B", self.b))
        return [f"{name} {o.slow_note}" for name, o in sides if self.ratio and o and o.slow_note]

    @property
    def broken(self) -> bool:
        """Whether A completed it and B failed."""
        return bool(self.a and self.b and self.a.completed and not self.b.completed)

    @property
    def shown_from(self) -> float:
        """The least ratio that would have been called SLOWER; infinite where none would have been."""
        if self.ratio is None or self.slow_notes:
            return math.inf
        return stats.shown_from(self.ratio, self.floor)


def pairs(a: Side, b: Side, results: Results, basis: Basis) -> list[Pair]:
    """Every case of either side; with a verdict where both completed it."""
    of_a, of_b = (_by_key(side, results, basis) for side in (a, b))
    base_a, base_b = (_base(side, results, basis.relative_to) for side in (a, b))
    both = [(o, of_b[key]) for key, o in of_a.items() if key in of_b and o.completed and of_b[key].completed]
    reader = Unchanged.of(a, b, both, results.outcomes) if basis.relative_to == NAME else None

    def ratio_of(one: Outcome, other: Outcome) -> Estimate | str:
        if reader:
            return reader.ratio(one, other)
        if basis.normalized:
            return _of_ceilings(one, other)
        if basis.relative_to:
            return _of_ratios(one, other, base_a, base_b, basis.relative_to)
        return comparison.slowdown(other, one)

    found = [_pair(of_a.get(key), of_b.get(key), ratio_of, basis) for key in {**of_a, **of_b}]
    if _other_text(a.where, b.where):
        found = [
            replace(p, ratio=None, verdict=None, left_out="other ids") if p.of_text else p for p in found
        ]
    return found


def _other_text(a: Environment, b: Environment) -> bool:
    """Whether two versions of the suite ship other ids under the name of text."""
    digests = [where.digests.get("ids text") for where in (a, b)]
    return None not in digests and digests[0] != digests[1]


def _by_key(side: Side, results: Results, basis: Basis) -> dict[Key, Outcome]:
    own = [
        o
        for o in side.outcomes(results)
        if side.backend in (None, o.backend) and o.backend != basis.relative_to
    ]
    # On different machines, cuda:0 may be compared with cuda:1, and any two devices if a side has only one.
    only = basis.normalized and len({o.device for o in own}) == 1
    keys: dict[Key, Outcome] = {}
    for o in own:
        device = "" if only else o.device.partition(":")[0] if basis.normalized else o.device
        environment = None if _is_one(own) else o.environment
        keys[device, None if side.backend else o.backend, o.case, environment] = o
    return keys


def _is_one(own: Sequence[Outcome]) -> bool:
    return len({o.environment for o in own}) == 1


def _base(side: Side, results: Results, backend: str | None) -> Base:
    own = side.outcomes(results)
    return {(o.device, o.case, o.environment): o for o in own if o.backend == backend and o.completed}


def _pair(a: Outcome | None, b: Outcome | None, ratio_of: RatioOf, basis: Basis) -> Pair:
    if a is None or b is None:
        return Pair(a, b, left_out="only in A" if a else "only in B")
    for name, outcome in (("A", a), ("B", b)):
        if not outcome.completed:
            return Pair(a, b, left_out=f"failed in {name}")
    ratio = ratio_of(a, b)
    if isinstance(ratio, str):
        return Pair(a, b, left_out=ratio)
    floor = basis.floor_of(a, b)
    decided = a.decides and b.decides
    return Pair(a, b, ratio, stats.verdict(ratio, floor) if decided else "UNCLEAR", floor)


def _of_ceilings(a: Outcome, b: Outcome) -> Estimate | str:
    of_a, of_b = comparison.fraction_of_ceiling(a), comparison.fraction_of_ceiling(b)
    return "no ceiling" if of_a is None or of_b is None else stats.quotient(of_a, of_b)


def _of_ratios(a: Outcome, b: Outcome, base_a: Base, base_b: Base, base: str) -> Estimate | str:
    """The ratio of B to its base over that of A to its own, each from within the rounds of its run."""
    beside = [of.get((o.device, o.case, o.environment)) for o, of in ((a, base_a), (b, base_b))]
    if beside[0] is None or beside[1] is None:
        return f"no {base}"
    if not all(o and o.decides for o in beside):
        return f"{base} not at full speed"
    return stats.quotient(comparison.slowdown(b, beside[1]), comparison.slowdown(a, beside[0]))


def noise_floor(a: Environment, b: Environment) -> tuple[float, str]:
    """The larger of the two machines' noise floors, and its origin."""
    measured = [e.noise_floor for e in (a, b) if e.noise_floor is not None]
    if len(measured) == 2:
        return max(measured), "measured"
    return max([ASSUMED_NOISE_FLOOR, *measured]), "assumed; python -m suite.doctor measures it"
