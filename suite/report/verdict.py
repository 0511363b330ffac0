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

LIBRARY = "library"
MOST_OPEN = 2
MOST_NAMED = 3
PHRASES = {
    "checks": "this run checks that everything runs and is right; it does not rank",
    "all": "fastest of all",
    "library": "fastest call of a library",
    "led": "{what}: {names} in {won} of {cases}{open}",
    "led by how much": "{what}: {names} in {won} of {cases}{open}; {slower}",
    "divided": "{what}: none in most cases; {names} in {won} of {cases}{open}",
    "divided among": "{what}: none in most cases; {names} each in {won} of {cases}{open}",
    "all open": "{what}: open in all of {cases}{likely}",
    "open": ", {number} open{likely}",
    "likely": " (likely {names} in {number})",
    "likely one": "likely {name}",
    "takes": "{name} takes {ratio}x as long as {base}{clock} ({within})",
    "takes in two": "{name} takes {first}x and {second}x as long as {base}{clock} in 2 cases",
    "no clear difference": (
        "{name}: no clear difference from {base}{clock} (takes {ratio}x as long; {within})"
    ),
    "no clear difference in most": (
        "{name}: no clear difference from {base}{clock} in most cases (takes {ratio}x as long; {within})"
    ),
    "by call": " by call time",
    "span": "{low}x to {high}x",
    "no span": "too little for an interval",
    "over one": "{span} over {cases}",
    "over many": "{span} on average over {cases}, {least}x to {most}x in one",
    "decided": "{known} of {cases} decided",
    "undecided": "; open: {case} ({names})",
    "more": "; and {number} more",
    "alone": "{name} completed {cases}{how}; no other backend did",
    "nothing": "no backend completed a case{how}",
    "apart": "{name} shares no completed case{how} with {base}",
    "lacking": "{name} completed no case{how}; there is nothing to compare with",
    "at full speed": " at full speed",
}
"""Everything that a verdict says; the page fills in the same words for what its reader chooses."""
CHECKS = PHRASES["checks"]


def say(key: str, **words: object) -> str:
    """A phrase with its words filled in."""
    return PHRASES[key].format(**words)


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
        clock = PHRASES["by call"] if self.by_call else ""
        if len(self.ratios) == 2:  # too few for an average that says anything
            first, second = map(digits, self.ratios)
            return say("takes in two", name=self.name, first=first, second=second, base=base, clock=clock)
        within = say(
            "over many" if len(self.ratios) > 1 else "over one",
            span=_span(self.ratio),
            cases=count(len(self.ratios), "case"),
            least=digits(min(self.ratios)),
            most=digits(max(self.ratios)),
        )
        said = "takes" if self.clear(floor) else "no clear difference"
        if said == "takes" and not in_most:
            said = "no clear difference in most"
        return say(
            said, name=self.name, ratio=digits(self.ratio.value), base=base, clock=clock, within=within
        )

    def clear(self, floor: float) -> bool:
        """Whether it differs from the baseline over these cases."""
        return stats.verdict(self.ratio, floor) in ("FASTER", "SLOWER")


def _span(ratio: Estimate) -> str:
    if not ratio.bounded:
        return say("no span")
    return say("span", low=digits(ratio.low), high=digits(ratio.high))


@dataclass(frozen=True, slots=True)
class Lead:
    """Who is fastest most often among some backends.

    Attributes:
        names: those that are fastest, or tied with it, in most of the decided cases. won: in how many.
        cases: in which any of them completed. decided: how many of these are.
        likely: those that are likely the fastest in most of the others. in_likely: in how many.
    """

    names: tuple[str, ...]
    won: int
    cases: int
    decided: int
    likely: tuple[str, ...] = ()
    in_likely: int = 0

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
    wins, likely = Counter[str](), Counter[str]()
    known, unknown = decided(here, floor)
    groups = by_case(here)
    for case in known:
        wins.update(_best(groups[case], floor))
    for case in unknown:
        names = _best(groups[case], floor)
        likely.update(names if is_likely(groups[case], names) else ())
    return Lead(*_most(wins), len(known) + len(unknown), len(known), *_most(likely))


def _most(wins: Counter[str]) -> tuple[tuple[str, ...], int]:
    most = max(wins.values(), default=0)
    return tuple(sorted(name for name, won in wins.items() if won == most)), most


def _best(group: Sequence[Outcome], floor: float) -> list[str]:
    """The names of the fastest of a case and those tied with it, the fastest first."""
    ranked, best = rank(group, floor)
    return [o.name for o in ranked if o.key in best]


def is_likely(group: Sequence[Outcome], names: Sequence[str]) -> bool:
    """Whether an open case has one that is likely its fastest; not what is ranked alone."""
    return len(names) == 1 and len(comparison.ranked(group)[0]) > 1


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
    known = [name for name in (baseline, *usual(here)) if name in done]
    return done[known[0]] if known else min(done.values(), default=None)


def usual(here: Sequence[Outcome]) -> tuple[str, ...]:
    """What their operation is compared with unless it is named: what people call, the first that is there."""
    return here[0].case.kind.baselines if here else ()


def lines(here: Sequence[Outcome], environment: Environment, baseline: str | None = None) -> list[str]:
    """The verdict on the backends of one environment and operation, in a line or two; none if unranked.

    Args:
        baseline: the backend that others are compared with; without it the first of the ``usual`` ones.
    """
    base, floor = base_of(here, baseline), noise_floor(environment)
    if len({o.name for o in here if o.completed}) < 2:
        return []
    of_libraries = [o for o in here if whose(o.backend, environment) == LIBRARY]
    first = lead(here, floor)
    said = [_line("all", first, here, base, floor)]
    if len({o.name for o in of_libraries if o.completed}) > 1 and len(of_libraries) < len(here):
        said.append(_line("library", lead(of_libraries, floor), here, base, floor))
    return said


def _line(what: str, first: Lead, here: Sequence[Outcome], base: str | None, floor: float) -> str:
    left, names = first.cases - first.decided, " and ".join(first.names[:MOST_NAMED])
    likely = " or ".join(first.likely[:MOST_NAMED])
    likely = say("likely", number=first.in_likely, names=likely) if likely else ""
    words = {
        "what": PHRASES[what],
        "names": names,
        "won": first.won,
        "cases": count(first.cases, "case"),
        "open": say("open", number=left, likely=likely) if left else "",
        "likely": likely,
    }
    if not first.won:
        return say("all open", **words)
    if not first.carried:
        return say("divided among" if len(first.names) > 1 else "divided", **words)
    slower = next((one for one in standings(here, names) if one.name == base), None)
    if slower is None:
        return say("led", **words)
    return say("led by how much", slower=slower.words(names, floor), **words)


def state(here: Sequence[Outcome], environment: Environment) -> str | None:
    """How many cases are decided, and who may be the fastest of those that are not."""
    floor, groups = noise_floor(environment), by_case(here)
    known, unknown = decided(here, floor)
    if not (known or unknown):
        return None
    said = say("decided", known=len(known), cases=count(len(known) + len(unknown), "case"))
    for case in unknown[:MOST_OPEN]:
        names = _best(groups[case], floor)
        likely = say("likely one", name=names[0]) if is_likely(groups[case], names) else ""
        said += say("undecided", case=case, names=likely or " or ".join(names))
    return said + (say("more", number=len(unknown) - MOST_OPEN) if len(unknown) > MOST_OPEN else "")


def compared(here: Sequence[Outcome], environment: Environment, baseline: str | None) -> list[str]:
    """The verdict on the backends of one environment and operation, and how each does against the baseline.

    Args:
        baseline: the backend that others are compared with; one that has a record here, or null.
    """
    how = PHRASES["at full speed"] if any(o.slow_note for o in here) else ""
    base, floor = base_of(here, baseline), noise_floor(environment)
    if comparison.checks_only(environment):
        return [CHECKS]
    names = {o.backend: o.name for o in here}
    open_cases = [said] if (said := state(here, environment)) else []
    if base is None:
        return [*lines(here, environment, baseline), *open_cases] or [say("nothing", how=how)]
    if baseline is not None and base != names.get(baseline):
        return [say("lacking", name=names.get(baseline, baseline), how=how), *open_cases]
    done = {o.name for o in here if o.decides}
    if len(done) == 1:
        alone = say("alone", name=base, cases=count(sum(o.decides for o in here), "case"), how=how)
        beside = lines(here, environment, baseline)
        return [*beside, *(open_cases if beside else ()), alone]
    own = standings(here, base)
    apart = sorted(done - {base} - {one.name for one in own})
    return [
        *lines(here, environment, baseline),
        *open_cases,
        *(one.words(base, floor) for one in own),
        *(say("apart", name=name, how=how, base=base) for name in apart),
    ]
