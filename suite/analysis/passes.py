"""Passes: what the passes of a run showed of one contender, made one outcome; which rounds count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from suite.analysis.outcome import Outcome, Spreads
from suite.cases.case import Case
from suite.records.figures import QUOTA
from suite.records.record import Clock, Fact
from suite.stats import FEWEST_ROUNDS, order_statistics, ratios, spread_of

FEWEST_PASSES = 2
"""With fewer such passes, of several, nothing is decided."""
FEWEST_ALONE = 6
"""And of a single pass with fewer such rounds: there is no interval of fewer."""


def merged(parts: Sequence[Outcome]) -> Outcome:
    """One outcome of the same contender's in every pass, in order; the first failure if one failed.

    Memory, traffic and counters are those of the first pass; how a quota held it up is of all together. Its
    times are those that every pass has.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    failed = [(number, part) for number, part in enumerate(parts, 1) if not part.completed]
    if failed:
        number, part = failed[0]
        everywhere = len(failed) == len(parts)
        return part if everywhere else replace(part, reason=f"in pass {number}: {part.reason}")
    whole = all(part.full_speed is not None for part in parts)
    autocorrelations = [p.autocorrelation for p in parts if p.autocorrelation is not None]
    return replace(
        first,
        measurements=tuple(part.measurement for part in parts),
        passes=tuple(len(part.rounds) for part in parts),
        medians={
            timing: tuple(median for part in parts for median in part.times(timing))
            for timing in first.medians
            if all(part.times(timing) for part in parts)
        },
        full_speed=tuple(flag for part in parts for flag in part.full_speed or ()) if whole else None,
        samples=sum(part.samples for part in parts),
        autocorrelation=sum(autocorrelations) / len(autocorrelations) if autocorrelations else None,
        held=None if first.held is None else all(part.held for part in parts),
        converged=all(part.converged for part in parts),
        telemetry={**first.telemetry, **_held_up(parts)},
    )


def _held_up(parts: Sequence[Outcome]) -> dict[str, Fact]:
    found: dict[str, Fact] = {}
    for part in parts:
        for name, fact in part.telemetry.items():
            if name.startswith(QUOTA) and isinstance(fact, int | float):
                found[name] = fact + (found.get(name) or 0)  # type: ignore[operator]
    return found


def counted(outcome: Outcome) -> tuple[int, ...] | None:
    """The places of the rounds at full speed, in the passes that have enough; null if that is not enough."""
    if outcome.full_speed is None:
        return None
    places: list[int] = []
    passes = start = 0
    for count in outcome.passes:
        own = [k for k in range(start, start + count) if outcome.full_speed[k]]
        start += count
        if len(own) >= (FEWEST_ROUNDS if len(outcome.passes) > 1 else FEWEST_ALONE):
            passes += 1
            places += own
    enough = min(FEWEST_PASSES, len(outcome.passes))
    return tuple(places) if passes >= enough else None


Kind = tuple[str, str, Clock | None, bool]
"""(device, cache, clock, whether it decides): cold lookups scatter with the memory's state, hot ones hardly,
calls most, and all of them more below full speed."""


def spreads_of(outcomes: Iterable[Outcome]) -> Mapping[Kind, Spreads]:
    """How much the passes of one run scatter, by kind."""
    found: dict[Kind, _Values] = defaultdict(_Values)
    backends: dict[tuple[Kind, Case, str | None], Outcome] = {}
    selves: dict[tuple[Kind, str, Case], Outcome] = {}
    for one in outcomes:
        if len(one.passes) < 2 or not one.completed:
            continue
        values = found[kind_of(one)]
        values.times.append(one.by_pass(one.rounds))
        if one.ceiling is not None:
            values.copies.append(ratio_by_pass(one, one.ceiling))
        other = backends.setdefault((kind_of(one), one.case, one.environment), one)
        if other is not one and other.measurements == one.measurements:
            values.ratios.append(ratio_by_pass(one, other))
        other = selves.setdefault((kind_of(one), one.backend, one.case), one)
        if other is not one and other.measurements == one.measurements:
            values.environments.append(ratio_by_pass(one, other))
    return {kind: values.spreads() for kind, values in found.items()}


@dataclass(slots=True)
class _Values:
    """The values in each pass, of the results of one kind: times and ratios as in ``Spreads``."""

    times: list[Sequence[float]] = field(default_factory=list)
    ratios: list[Sequence[float]] = field(default_factory=list)
    copies: list[Sequence[float]] = field(default_factory=list)
    environments: list[Sequence[float]] = field(default_factory=list)

    def spreads(self) -> Spreads:
        return Spreads(*map(spread_of, (self.times, self.ratios, self.copies, self.environments)))


def kind_of(outcome: Outcome) -> Kind:
    """The kind of outcomes that scatter alike."""
    return outcome.device, outcome.case.cache, outcome.clock, outcome.decides


def common_clock(a: Outcome, b: Outcome) -> Clock | None:
    """The clock to compare two outcomes by: their own if it is the same one, else the call of each."""
    return a.clock if a.clock == b.clock else "call"


def ratio_by_pass(a: Outcome, b: Outcome) -> list[float]:
    """How many times longer ``a`` took than ``b`` in each pass: the median over the rounds both count."""
    clock = common_clock(a, b)
    return [order_statistics(of).value for of in ratios_of_rounds(a.times(clock), a, b.times(clock), b)]


def ratios_of_rounds(
    times: Sequence[float], a: Outcome, base: Sequence[float], b: Outcome
) -> list[list[float]]:
    """The ratios within the rounds that both count, by pass; rounds that only one took are left out."""
    mine, theirs = set(a.counted), set(b.counted)
    found: list[list[float]] = []
    start_a = start_b = 0
    for count_a, count_b in zip(a.passes, b.passes, strict=True):
        both = [k for k in range(min(count_a, count_b)) if start_a + k in mine and start_b + k in theirs]
        own = [times[start_a + k] for k in both], [base[start_b + k] for k in both]
        found.append(ratios(*own))
        start_a, start_b = start_a + count_a, start_b + count_b
    return found
