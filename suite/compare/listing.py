"""Listing of a comparison: its pairs in groups, what could have been shown, the overall line."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from suite import stats
from suite.analysis import comparison
from suite.analysis.outcomes import Results
from suite.analysis.passes import common_clock
from suite.compare.pairs import BETWEEN_PROCESSES, BETWEEN_RUNS, UNDECIDED, Basis, Pair
from suite.compare.sides import Side
from suite.report import sentences, tables
from suite.stats import Verdict
from suite.text import cut
from suite.units import count, digits

VERDICTS: tuple[Verdict, ...] = ("SLOWER", "FASTER", "UNCLEAR", "SAME")


def lines(a: Side, b: Side, results: Results, listed: Sequence[Pair], basis: Basis) -> Iterator[str]:
    """The comparison as text: what it rests on, verdicts, what is to be set apart, the overall lines."""
    yield from _header(a, b, results, listed, basis)
    compared = [p for p in listed if p.ratio]
    fast = [p for p in compared if not p.slow_notes]
    yield from _pairs([p for p in fast if p.converged])
    for title, apart in (
        ("not converged, read with care:", [p for p in fast if not p.converged]),
        ("not measured at full speed, nothing decided:", [p for p in compared if p.slow_notes]),
        ("left out:", [p for p in listed if not p.ratio]),
    ):
        if apart:
            yield title
            yield from _pairs(apart)
    number = Counter(p.verdict for p in compared)
    yield ", ".join(f"{number[verdict]} {verdict}" for verdict in VERDICTS)
    if compared:
        yield _shown(compared)
    yield _overall(a, b, listed, basis)


def _header(a: Side, b: Side, results: Results, listed: Sequence[Pair], basis: Basis) -> Iterator[str]:
    first = f"A {a}, B {b}: a ratio above 1 means that B is slower; noise floor {basis.floor:.1%}"
    yield f"{first} ({basis.origin})"
    floors = {p.floor for p in listed if p.ratio}
    if BETWEEN_RUNS in floors - {basis.floor}:
        yield f"noise floor {BETWEEN_RUNS:.1%} between two runs, whose machine is not in the same state"
    if BETWEEN_PROCESSES in floors - {basis.floor}:
        yield (
            f"noise floor {BETWEEN_PROCESSES:.1%} where a side has one pass: its interval is over the rounds "
            "of one process, and processes differ"
        )
    if basis.relative_to:
        yield f"read against {basis.relative_to} on each side, which is assumed not to have changed"
    yield from _slower_machine(a, b, results)


def _slower_machine(a: Side, b: Side, results: Results) -> Iterator[str]:
    """That the machine never came to full speed in one of the runs, as the other knows it."""
    for side, other in ((a, b), (b, a)):
        shares = [o.full_speed_share for o in side.outcomes(results) if o.full_speed_share is not None]
        if shares and max(shares) == 0:
            best = max(moment.speed for moment in results.speeds[side.run])
            whose = f"as {other} knows it" if other.run != side.run else "as earlier runs know it"
            yield f"{side}: the machine never ran at full speed, {whose}; at best at {best:.0%} of it"


def _pairs(some: Sequence[Pair]) -> Iterator[str]:
    for p in some:
        name = _name(p)
        if p.ratio:
            ends = f"{p.ratio.low:.3f} to {p.ratio.high:.3f}" if p.ratio.bounded else "too few rounds"
            clock = common_clock(p.a, p.b) if p.a and p.b else None
            times = " to ".join(digits(comparison.time(o, clock).value * 1e6) for o in (p.a, p.b) if o)
            by_call = ["by call time"] if p.a and p.b and p.a.clock != p.b.clock else []
            notes = "; ".join([name, *by_call, *_could_show(p), *p.slow_notes])
            yield f"  {p.verdict:<8} {p.ratio.value:8.3f}x  {ends:<16}  {times + ' µs':<20}  {notes}"
        else:
            reason = next((o.reason for o in (p.a, p.b) if o and o.reason), None)
            yield f"  {p.left_out:<12} {name}" + (f": {cut(reason, tables.REASON_LENGTH)}" if reason else "")


def _name(p: Pair) -> str:
    known = p.b or p.a
    assert known is not None
    name = f"{known.case} on {known.device}"
    if not (p.a and p.b):
        return f"{name}, {known.name}"
    if p.a.backend != p.b.backend:
        return name
    return f"{name}, {known.name if p.a.environment == p.b.environment else known.backend}"


def _could_show(p: Pair) -> list[str]:
    if p.verdict not in UNDECIDED or math.isinf(p.shown_from):
        return []
    return [f"shows from {_percent(p.shown_from)}"]


def _percent(ratio: float) -> str:
    return f"{ratio - 1:.1%}"


def _shown(compared: Sequence[Pair]) -> str:
    """The smallest change that the comparison could have shown; and that it showed none, if it did not."""
    alike = all(p.verdict in UNDECIDED for p in compared)
    able = sorted(p.shown_from for p in compared if math.isfinite(p.shown_from))
    said = "nothing tells them apart; " if alike else ""
    if not able:
        return f"{said}no change could be shown: too few rounds, or too few at full speed"
    if len(compared) == 1:
        return f"{said}a change shows from {_percent(able[0])}"
    half, unable = _percent(statistics.median(able)), len(compared) - len(able)
    most = f"in all from {_percent(able[-1])}" if not unable else f"in {count(unable, 'case')} none would"
    return f"{said}a change shows from {half} in half of the cases, {most}"


def _overall(a: Side, b: Side, listed: Sequence[Pair], basis: Basis) -> str:
    """By what was measured at full speed alone."""
    ratios = [p.ratio.value for p in listed if p.ratio and not p.slow_notes]
    relation = sentences.times(stats.geometric_mean(ratios), 0.005) if ratios else "not comparable to"
    against = f"relative to {basis.relative_to}, " if basis.relative_to else ""
    by = "relative to each one's ceiling, " if basis.normalized else against
    out = Counter(p.left_out or "not at full speed" for p in listed if p.left_out or p.slow_notes)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in sorted(out.items()))})" if out else ""
    mean = f"geometric mean over {count(len(ratios), 'case')} that both completed"
    return f"overall: {by}{b} is {relation} {a}: {mean}; {sum(out.values())} left out{why}"
