"""Answer: the backends ranked for one case, from its records where it was measured, else by prediction."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.best import model
from suite.cases.case import Case
from suite.command import BadRequest
from suite.records.record import Clock, Environment
from suite.stats import Estimate

LIBRARY = "library"
EQUAL = Estimate(1.0, 1.0, 1.0)
NAMED = 3
"""So many of the nearest measured cases are named."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One backend in the ranking.

    Attributes:
        time: of one lookup in seconds, by its clock. ratio: how many times longer than the fastest.
            Of what only the host timed where others have kernel times, than the fastest of these.
        whose: whose code it is, in words. best: whether it is the fastest, or tied with it; never of these.
    """

    backend: str
    clock: Clock
    time: Estimate
    ratio: Estimate
    whose: str
    best: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranking for one case on one device of one machine.

    Attributes:
        runs: whose records it is from. where: the environment of the newest of them.
        bars: the fastest first; by clock, and those of different clocks are not ranked with each other.
        basis: ``measured``; ``predicted`` from other cases; ``refused``, where ``why`` says which bound.
        missing: why each other backend has no bar, by name.
        nearest: the measured cases nearest to a predicted one. cases: how many it was predicted from.
        slow: names of the measured ones that were not at full speed.
    """

    case: Case
    device: str
    runs: tuple[str, ...]
    where: Environment
    basis: Literal["measured", "predicted", "refused"]
    bars: tuple[Bar, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    nearest: tuple[Case, ...] = ()
    cases: int = 0
    why: str | None = None
    slow: tuple[str, ...] = ()

    @property
    def by_clock(self) -> list[list[Bar]]:
        """The bars of each clock; those of the kernel, if there are any, first."""
        clocks = sorted({bar.clock for bar in self.bars}, reverse=True)
        return [[bar for bar in self.bars if bar.clock == clock] for clock in clocks]


@dataclass(frozen=True, slots=True)
class Place:
    """What one machine's runs of one version showed of one operation on one device; never pooled with others.

    Attributes:
        outcomes: of each backend by name, the completed ones by case; a later run's for an earlier one's.
        seconds: the time of a lookup in each of them.
        failures: of each case, why backends have no result in it.
    """

    device: str
    operation: str
    runs: tuple[str, ...]
    where: Environment
    outcomes: Mapping[str, Mapping[Case, Outcome]]
    seconds: Mapping[str, Mapping[Case, float]]
    failures: Mapping[Case, Mapping[str, str]]

    @property
    def cases(self) -> tuple[Case, ...]:
        """All that any backend completed."""
        return tuple(dict.fromkeys(case for of in self.outcomes.values() for case in of))

    def measured(self, case: Case) -> bool:
        """Whether any backend completed it."""
        return any(case in of for of in self.outcomes.values())

    @property
    def cache_bytes(self) -> int:
        """Its last-level cache, as its records have it."""
        every = (one for of in self.outcomes.values() for one in of.values())
        return next((one.traffic.cache_bytes for one in every if one.traffic), 0)


def places(results: Results) -> list[Place]:
    """The places of some runs, the newest last; runs that only check are left out."""
    groups: dict[tuple[object, ...], list[Outcome]] = defaultdict(list)
    order = sorted(results.environments, key=lambda run: results.environments[run].created)
    rank = {run: k for k, run in enumerate(order)}
    for one in sorted(results.outcomes, key=lambda one: rank[one.run]):
        where = results.environments[one.run]
        if not comparison.checks_only(where):
            groups[(*_version(where), one.device, one.case.operation)].append(one)
    return [_place(results, group) for group in groups.values()]


def _version(where: Environment) -> tuple[object, ...]:
    """What runs share whose times may stand for each other's."""
    return where.machine, where.commit, where.method, where.settings.get("threads")


def _place(results: Results, group: Sequence[Outcome]) -> Place:
    outcomes: dict[str, dict[Case, Outcome]] = defaultdict(dict)
    failures: dict[Case, dict[str, str]] = defaultdict(dict)
    one_of: dict[Case, Case] = {}  # equal cases are one object, so that they are compared quickly
    for one in group:
        if one.completed:
            outcomes[one.name][one_of.setdefault(one.case, one.case)] = one
        else:
            failures[one.case][one.name] = f"{one.status}: {one.reason}"
    runs = tuple(dict.fromkeys(one.run for one in group))
    seconds = {name: {c: comparison.median(o).value for c, o in of.items()} for name, of in outcomes.items()}
    device, operation = group[0].device, group[0].case.operation
    return Place(device, operation, runs, results.environments[runs[-1]], outcomes, seconds, failures)


def asked(results: Results, operation: str, device: str | None = None) -> list[Place]:
    """The places of some runs that are asked of an operation: on that device, by default their GPU.

    Raises:
        BadRequest: there are none, or they lack the operation or the device.
    """
    found = places(results)
    if not found:
        raise BadRequest("runs: they only check, in too few rounds to rank; give one without --preset smoke")
    own = [place for place in found if place.operation == operation]
    if not own:
        known = ", ".join(dict.fromkeys(place.operation for place in found))
        raise BadRequest(f"--operation {operation}: not in these runs; there is {known}")
    known_devices = devices(own)
    device = device or known_devices[0]
    if device not in known_devices:
        raise BadRequest(f"--device {device}: not in these runs; there are {', '.join(known_devices)}")
    return [place for place in own if place.device == device]


def devices(found: Iterable[Place]) -> list[str]:
    """The devices of some places, GPUs first: beside one a CPU is its reference."""
    return sorted({one.device for one in found}, key=lambda device: (device == "cpu", device))


def answer(place: Place, case: Case) -> Answer:
    """Rank the backends of a place for a case: by its records, or as far as they allow by prediction."""
    known = {name: of[case] for name, of in place.outcomes.items() if case in of}
    if known:
        return _measured(place, case, known)
    own = {name: predictors(of, case) for name, of in place.outcomes.items()}
    of_cases = {of: obstacle(place, case, of) for of in set(own.values())}
    why = {name: of_cases[of] for name, of in own.items()}
    able = {name: of for name, of in own.items() if why[name] is None}
    missing = {name: reason for name, reason in why.items() if reason}
    if not able:
        of_all = obstacle(place, case, place.cases)
        reason = of_all or next(iter(missing.values()), "nothing was measured")
        return Answer(case, place.device, place.runs, place.where, "refused", why=reason)
    return _predicted(place, case, able, missing)


def predictors(of: Mapping[Case, Outcome], case: Case) -> tuple[Case, ...]:
    """The cases that a backend may be predicted from: measured at full speed, and alike."""
    return tuple(c for c, one in of.items() if one.decides and model.alike(c, case))


def obstacle(place: Place, case: Case, cases: Sequence[Case]) -> str | None:
    """Why a case can't be predicted from these of a place, in words; null where it can."""
    if outside := model.obstacle(case, cases, place.cache_bytes):
        return outside
    if len(cases) < model.NEAREST:
        return f"only {len(cases)} cases like it were measured, a prediction takes {model.NEAREST}"
    return None


def _measured(place: Place, case: Case, known: Mapping[str, Outcome]) -> Answer:
    floor = comparison.noise_floor(place.where)
    newest = max((one.run for one in known.values()), key=place.runs.index)
    bars: list[Bar] = []
    first, *below = _by_clock([one for one in known.values() if one.run == newest])
    for here in (first, *below):
        ranked, best = comparison.rank(here, floor)
        for one in ranked:
            ratio = EQUAL if one is ranked[0] else comparison.slowdown(one, ranked[0])
            is_best = one.key in best and here is first
            bars.append(_bar(place, one, comparison.median(one), ratio, is_best))
    missing = place.failures.get(case, {})
    slow = tuple(one.name for one in known.values() if one.run == newest and one.slow_note)
    return Answer(case, place.device, (newest,), place.where, "measured", tuple(bars), missing, slow=slow)


def _by_clock(some: Iterable[Outcome]) -> list[list[Outcome]]:
    """Outcomes that are ranked together; those timed by the kernel first."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for one in some:
        groups[str(one.clock)].append(one)
    return [groups[clock] for clock in sorted(groups, reverse=True)]


def _bar(place: Place, one: Outcome, time: Estimate, ratio: Estimate, best: bool) -> Bar:
    assert one.clock is not None
    return Bar(one.name, one.clock, time, ratio, comparison.whose(one.backend, place.where), best)


def _predicted(
    place: Place, case: Case, able: Mapping[str, tuple[Case, ...]], missing: Mapping[str, str]
) -> Answer:
    forecast = Forecast(place, case)
    expected = {name: forecast.time(name, cases) for name, cases in able.items()}
    floor, bars = comparison.noise_floor(place.where), list[Bar]()
    ranked, *below = _by_clock(next(iter(place.outcomes[name].values())) for name in able)
    for here in (ranked, *below):
        here.sort(key=lambda one: expected[one.name].value)
        first = here[0].name
        for one in here:
            ratio = EQUAL if one.name == first else forecast.ratio(one.name, first, able)
            tied = here is ranked and stats.verdict(ratio, floor) != "SLOWER"
            bars.append(_bar(place, one, expected[one.name], ratio, tied))
    widest = max(able.values(), key=len)
    return Answer(
        *(case, place.device, place.runs, place.where, "predicted", tuple(bars), missing),
        forecast.among(widest).cases[:NAMED],
        len(widest),
    )


class Forecast:
    """What is expected of a place's backends in one case; the weights are the same for all of one's cases."""

    def __init__(self, place: Place, case: Case) -> None:
        self.place, self.case = place, case
        self.known: dict[tuple[Case, ...], model.Interpolation] = {}

    def among(self, cases: tuple[Case, ...]) -> model.Interpolation:
        if cases not in self.known:
            self.known[cases] = model.Interpolation(self.case, cases, self.place.cache_bytes)
        return self.known[cases]

    def time(self, name: str, cases: tuple[Case, ...]) -> Estimate:
        return self.among(cases).of([self.place.seconds[name][case] for case in cases])

    def ratio(self, name: str, base: str, able: Mapping[str, tuple[Case, ...]]) -> Estimate:
        """How many times longer one takes than another, from the cases of both; unbounded from too few."""
        cases, mine, theirs = able[name], self.place.seconds[name], self.place.seconds[base]
        if cases != able[base]:
            both = set(able[base])
            cases = tuple(case for case in cases if case in both)
        if len(cases) < model.NEAREST:
            value = self.time(name, able[name]).value / self.time(base, able[base]).value
            return Estimate(value, 0.0, math.inf)
        return self.among(cases).of([mine[case] / theirs[case] for case in cases])
