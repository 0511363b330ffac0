"""Listing of a comparison: what it rests on, its rows, what could have been shown, the overall line."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcomes import Results
from suite.analysis.passes import common_clock
from suite.compare.pairs import BETWEEN_PROCESSES, BETWEEN_RUNS, Basis, Pair
from suite.compare.sides import Side
from suite.compare.unchanged import NAME
from suite.report.tables import REASON_LENGTH, WIDE, only_lookups
from suite.report.verdict import Standing
from suite.stats import Verdict
from suite.text import cut, shown
from suite.units import count, digits

HEADINGS = ("case", "A µs", "B µs", "B/A", "interval", "verdict")
VERDICTS: tuple[Verdict, ...] = ("SLOWER", "FASTER", "UNCLEAR", "SAME")
ONLY: dict[str, tuple[Verdict, ...]] = {
    "slower": ("SLOWER",),
    "faster": ("FASTER",),
    "changed": ("SLOWER", "FASTER"),
    "undecided": ("UNCLEAR",),
}
"""Rows that can be asked for alone, by their verdicts."""


@dataclass(frozen=True, slots=True)
class Row:
    """One pair that has a ratio.

    Attributes:
        cells: text under each of HEADINGS. wide: whether the interval is wider than a result's should be.
    """

    cells: tuple[str, ...]
    verdict: Verdict
    wide: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A comparison as text: lines of visible characters.

    Attributes:
        rests_on: the sides, the noise floor, what is assumed. broken: what B fails at and A completed.
        rows: where the machine was at full speed, and slow: where it was not; the worst first.
        totals: what is left out, how many rows have each verdict, what could have shown. overall: a line for
            each operation.
    """

    rests_on: tuple[str, ...]
    broken: tuple[str, ...]
    rows: tuple[Row, ...]
    slow: tuple[Row, ...]
    totals: tuple[str, ...]
    overall: tuple[str, ...]


def listing(
    a: Side, b: Side, results: Results, listed: Sequence[Pair], basis: Basis, only: str | None = None
) -> Listing:
    """The comparison as text; with ``only`` the rows of some verdicts alone, and the totals of all."""
    operations = list(dict.fromkeys(p.operation for p in listed))
    compared = sorted(
        (p for p in listed if p.ratio),
        key=lambda p: (operations.index(p.operation), -p.ratio.value if p.ratio else 0.0),
    )
    several = len({o.device for p in listed for o in (p.a, p.b) if o}) > 1
    chosen = [p for p in compared if only is None or p.verdict in ONLY[only]]
    rows, slow = (
        [_row(p, several) for p in chosen if bool(p.slow_notes) == is_slow] for is_slow in (False, True)
    )
    hidden = [f"shown: {len(chosen)} of {count(len(compared), 'case')}, those {only}"] if only else []
    return Listing(
        tuple(map(shown, _rests_on(a, b, results, listed, basis))),
        tuple(map(shown, _broken(listed))),
        tuple(rows),
        tuple(slow),
        tuple(map(shown, [*hidden, *_totals(listed, compared)])),
        tuple(map(shown, _overall(a, b, listed, basis))),
    )


def _rests_on(a: Side, b: Side, results: Results, listed: Sequence[Pair], basis: Basis) -> Iterator[str]:
    yield (
        f"A {a}, B {b}: B/A above 1 means that B takes longer; noise floor {basis.floor:.1%} ({basis.origin})"
    )
    floors = {p.floor for p in listed if p.ratio}
    if BETWEEN_RUNS in floors - {basis.floor}:
        yield f"noise floor {BETWEEN_RUNS:.1%} between two runs, whose machine is not in the same state"
    if BETWEEN_PROCESSES in floors - {basis.floor}:
        yield (
            f"noise floor {BETWEEN_PROCESSES:.1%} where a side has one pass: its interval is over the rounds "
            "of some seconds, and the memory's speed drifts"
        )
    if basis.relative_to:
        if basis.relative_to == NAME:
            yield (
                "read against what is beside each one with the same file and packages in both, the copy too"
            )
        else:
            yield f"read against {basis.relative_to} on each side, which is assumed not to have changed"
    yield from _slower_machine(a, b, results)
    if a.run != b.run:
        yield from _known_by_name(listed)


def _known_by_name(listed: Sequence[Pair]) -> Iterator[str]:
    """The ids of files of which records of an earlier version have the name and no digest."""
    distributions = dict.fromkeys(p.a.case.distribution for p in listed if p.a and p.b)
    for one in distributions:
        if one.startswith("file:") and "@" not in one:
            yield f"{one}: by its name alone, as earlier versions recorded it; its ids may not be the same"


def _slower_machine(a: Side, b: Side, results: Results) -> Iterator[str]:
    """That the machine never came to full speed in one of the runs, as the other knows it."""
    for side, other in ((a, b), (b, a)):
        shares = [o.full_speed_share for o in side.outcomes(results) if o.full_speed_share is not None]
        if shares and max(shares) == 0:
            best = max(moment.speed for moment in results.speeds[side.run])
            whose = f"as {other} knows it" if other.run != side.run else "as earlier runs know it"
            yield f"{side}: the machine never ran at full speed, {whose}; at best at {best:.0%} of it"


def _row(p: Pair, several_devices: bool) -> Row:
    assert p.a and p.b and p.ratio and p.verdict
    ends = f"{p.ratio.low:.3f} to {p.ratio.high:.3f}" if p.ratio.bounded else "too few rounds"
    clock, by_call = common_clock(p.a, p.b), ["by call time"] if p.a.clock != p.b.clock else []
    times = (digits(comparison.time(o, clock).value * 1e6) for o in (p.a, p.b))
    name = "; ".join([_name(p, several_devices), *by_call, *p.slow_notes])
    cells = (name, *times, f"{p.ratio.value:.3f}x", ends, p.verdict)
    return Row(tuple(map(shown, cells)), p.verdict, not p.ratio.precision <= WIDE)


def _name(p: Pair, several_devices: bool) -> str:
    known = p.b or p.a
    assert known is not None
    name = f"{known.case} on {known.device}" if several_devices else str(known.case)
    if p.a and p.b and p.a.backend != p.b.backend:
        return name
    one_environment = not (p.a and p.b) or p.a.environment == p.b.environment
    return f"{name}, {known.name if one_environment else known.backend}"


def _broken(listed: Sequence[Pair]) -> Iterator[str]:
    """A line for each way in which B fails at what A completed."""
    failed = Counter(
        (p.b.name, p.b.status, cut(p.b.reason or "", REASON_LENGTH)) for p in listed if p.broken and p.b
    )
    for (name, status, reason), n in failed.items():
        yield f"{name}: {status} in B on {count(n, 'case')} that A completed: {reason}"


def _totals(listed: Sequence[Pair], compared: Sequence[Pair]) -> Iterator[str]:
    out = Counter(p.left_out for p in listed if p.left_out)
    if out:
        why = ", ".join(f"{n} {reason}" for reason, n in sorted(out.items()))
        yield f"left out: {count(out.total(), 'case')} ({why})"
    number = Counter(p.verdict for p in compared)
    yield ", ".join(f"{number[verdict]} {verdict}" for verdict in VERDICTS)
    if compared:
        yield _could_show(compared)


def _could_show(compared: Sequence[Pair]) -> str:
    """The smallest change that the comparison could have shown; and that it showed none, if it did not."""
    alike = all(p.verdict in ("SAME", "UNCLEAR") for p in compared)
    able = sorted(p.shown_from for p in compared if math.isfinite(p.shown_from))
    said = "nothing tells them apart; " if alike else ""
    if not able:
        return f"{said}no change could be shown: too few rounds, or too few at full speed"
    if len(compared) == 1:
        return f"{said}a change shows from {_percent(able[0])}"
    half, unable = _percent(statistics.median(able)), len(compared) - len(able)
    most = f"in all from {_percent(able[-1])}" if not unable else f"in {count(unable, 'case')} none would"
    return f"{said}a change shows from {half} in half of the cases, {most}"


def _percent(ratio: float) -> str:
    return f"{ratio - 1:.1%}"


def _overall(a: Side, b: Side, listed: Sequence[Pair], basis: Basis) -> Iterator[str]:
    """A line for each operation, which is named unless there are lookups only."""
    operations = dict.fromkeys(p.operation for p in listed)
    for operation in operations:
        said = _of_operation(a, b, [p for p in listed if p.operation == operation], basis)
        yield f"overall: {said}" if only_lookups(operations) else f"overall, {operation}: {said}"


def _of_operation(a: Side, b: Side, listed: Sequence[Pair], basis: Basis) -> str:
    """By what was measured at full speed alone; no difference that most cases do not have by themselves."""
    fast = [(p, p.ratio) for p in listed if p.ratio and not p.slow_notes]
    if not fast:
        return "nothing that both completed at full speed"
    base = "what is unchanged" if basis.relative_to == NAME else basis.relative_to
    against = f"relative to {base}, " if base else ""
    by = "relative to each one's ceiling, " if basis.normalized else against
    values = tuple(ratio.value for _, ratio in fast)
    ratio = fast[0][1] if len(fast) == 1 else stats.over_cases(values)
    floor = max(p.floor for p, _ in fast)
    alike = sum(p.verdict == stats.verdict(ratio, floor) for p, _ in fast)
    standing = Standing(str(b), ratio, values)
    return f"{by}{standing.words(str(a), floor, in_most=2 * alike > len(fast))}"
