"""Verdict on the backends of a place: the fastest of all, the fastest call of a library, and by how much."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from suite import stats
from suite.analysis import comparison
from suite.analysis.comparison import noise_floor, rank, whose
from suite.analysis.outcome import Outcome
from suite.cases.case import Case
from suite.records.record import Environment
from suite.stats import Estimate
from suite.units import count, digits

BASELINES = ("torch_embedding", "torch_index_select", "numpy_take")
"""What speed is compared with, unless it is named: what people call, or the first of these that is here."""
LIBRARY = "library"
MOST_OPEN = 2
MOST_NAMED = 3
CHECKS = "this run checks that everything runs and is right; it does not rank"


@dataclass(frozen=True, slots=True)
class Standing:
    """How long a backend takes relative to the baseline, over the cases that both decide.

    Attributes:
        ratio: geometric mean over cases, and its interval; of one case that of the case.
        ratios: of each case.
        by_call: whether only the host timed one of the two, so that their calls are compared.
    """

    name: str
    ratio: Estimate
    ratios: tuple[float, ...]
    by_call: bool = False

    def words(self, base: str, floor: float, in_most: bool = True) -> str:
        """How long it takes, as a multiple of what the other takes; that it may be as long, where it may.

        Args:
            in_most: whether most cases differ by themselves.
        """
        if len(self.ratios) == 2:  # too few for an average that says anything
            each = " and ".join(f"{digits(ratio)}x" for ratio in self.ratios)
            return f"{self.name} takes {each} as long as {base} in 2 cases"
        many = len(self.ratios) > 1
        within = f"{_span(self.ratio)}{' on average' if many else ''} over {count(len(self.ratios), 'case')}"
        if many:
            within += f", {digits(min(self.ratios))}x to {digits(max(self.ratios))}x in one"
        ratio, clock = f"{digits(self.ratio.value)}x as long", " by call time" if self.by_call else ""
        if self.clear(floor) and in_most:
            return f"{self.name} takes {ratio} as {base}{clock} ({within})"
        where = clock + (" in most cases" if self.clear(floor) else "")
        return f"{self.name}: no clear difference from {base}{where} (takes {ratio}; {within})"

    def clear(self, floor: float) -> bool:
        """Whether it differs from the baseline over these cases."""
        return stats.verdict(self.ratio, floor) in ("FASTER", "SLOWER")


def _span(ratio: Estimate) -> str:
    return f"{digits(ratio.low)}x to {digits(ratio.high)}x" if ratio.bounded else "too little for an interval"


@dataclass(frozen=True, slots=True)
class Lead:
    """Who is fastest most often among some backends.

    Attributes:
        names: those that are fastest, or tied with it, in most of the decided cases. won: in how many.
        cases: in which any of them completed. decided: how many of these are.
    """

    names: tuple[str, ...]
    won: int
    cases: int
    decided: int

    @property
    def carried(self) -> bool:
        """Whether one of them is fastest in more than half of the cases."""
        return len(self.names) == 1 and 2 * self.won > self.cases


def by_case(here: Sequence[Outcome]) -> dict[Case, list[Outcome]]:
    """The outcomes of each case, in order."""
    groups: dict[Case, list[Outcome]] = defaultdict(list)
    for outcome in here:
        groups[outcome.case].append(outcome)
    return groups


def decided(here: Sequence[Outcome], floor: float) -> tuple[list[Case], list[Case]]:
    """The cases whose fastest is known, and those where it is open; a case of failures only is neither."""
    known: list[Case] = []
    unknown: list[Case] = []
    for case, group in by_case(here).items():
        if any(o.completed for o in group):
            (unknown if comparison.doubt(group, floor) else known).append(case)
    return known, unknown


def lead(here: Sequence[Outcome], floor: float) -> Lead:
    """Who is fastest most often; a tie within the noise floor counts for all in it."""
    wins: Counter[str] = Counter()
    known, unknown = decided(here, floor)
    groups = by_case(here)
    for case in known:
        _, best = rank(groups[case], floor)
        wins.update(o.name for o in groups[case] if o.key in best)
    most = max(wins.values(), default=0)
    names = tuple(sorted(name for name, won in wins.items() if won == most))
    return Lead(names, most, len(known) + len(unknown), len(known))


def standings(here: Sequence[Outcome], base: str) -> list[Standing]:
    """Each backend against another, over the cases that both decide; the fastest first."""
    done: dict[str, dict[Case, Outcome]] = defaultdict(dict)
    for outcome in here:
        if outcome.decides:
            done[outcome.name][outcome.case] = outcome
    found = []
    for name in done.keys() - {base}:
        both = [case for case in done[base] if case in done[name]]
        each = [comparison.slowdown(done[name][case], done[base][case]) for case in both]
        if each:
            values = tuple(one.value for one in each)
            ratio = each[0] if len(each) == 1 else stats.over_cases(values)
            by_call = any(done[name][case].clock != done[base][case].clock for case in both)
            found.append(Standing(name, ratio, values, by_call))
    return sorted(found, key=lambda one: (one.ratio.value, one.name))


def base_of(here: Sequence[Outcome], baseline: str | None = None) -> str | None:
    """The name of what the backends of one environment are compared with; null where nothing has a result."""
    done = {o.backend: o.name for o in here if o.decides}
    known = [name for name in (baseline, *BASELINES) if name in done]
    return done[known[0]] if known else min(done.values(), default=None)


def lines(here: Sequence[Outcome], environment: Environment, baseline: str | None = None) -> list[str]:
    """The verdict on the backends of one environment, in a line or two; none where nothing is ranked.

    Args:
        baseline: the backend that others are compared with; without it the first of ``BASELINES``.
    """
    base, floor = base_of(here, baseline), noise_floor(environment)
    if base is None or len({o.name for o in here if o.completed}) < 2:
        return []
    of_libraries = [o for o in here if whose(o.backend, environment) == LIBRARY]
    first = lead(here, floor)
    said = [_line("fastest of all", first, here, base, floor)]
    if len({o.name for o in of_libraries if o.completed}) > 1 and len(of_libraries) < len(here):
        said.append(_line("fastest call of a library", lead(of_libraries, floor), here, base, floor))
    return said


def _line(what: str, first: Lead, here: Sequence[Outcome], base: str, floor: float) -> str:
    left = first.cases - first.decided
    of = f"of {count(first.cases, 'case')}" + (f", {left} open" if left else "")
    if not first.won:
        return f"{what}: open in all {of}"
    names = " and ".join(first.names[:MOST_NAMED])
    if not first.carried:
        each = "each in" if len(first.names) > 1 else "in"
        return f"{what}: none in most cases; {names} {each} {first.won} {of}"
    slower = next((one for one in standings(here, names) if one.name == base), None)
    return f"{what}: {names} in {first.won} {of}" + (f"; {slower.words(names, floor)}" if slower else "")


def state(here: Sequence[Outcome], environment: Environment) -> str | None:
    """How many cases are decided, and who may be the fastest of those that are not."""
    floor, groups = noise_floor(environment), by_case(here)
    known, unknown = decided(here, floor)
    if not (known or unknown):
        return None
    said = f"{len(known)} of {count(len(known) + len(unknown), 'case')} decided"
    for case in unknown[:MOST_OPEN]:
        ranked, best = rank(groups[case], floor)
        said += f"; open: {case} ({' or '.join(o.name for o in ranked if o.key in best)})"
    return said + (f"; and {len(unknown) - MOST_OPEN} more" if len(unknown) > MOST_OPEN else "")
