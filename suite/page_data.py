"""What the page holds: the figures of every record by column, small enough for a hundred thousand of them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from suite import frame, outcomes, stats, summary
from suite.case import AXES, DTYPE_BYTES, INDEX_BYTES, Case
from suite.outcomes import Outcome, Results
from suite.pairs import ASSUMED_NOISE_FLOOR
from suite.record import Environment, Fact
from suite.stats import Estimate
from suite.text import cut

Column = list[object]

WORDS = ("run", "device", "backend", "status", "reason", "clock", "no_memory", "no_energy")
"""Columns of text: each holds places in a list of the texts that occur."""
COPIED = (
    *("status", "reason", "device", "backend", "run", "clock", "converged", "held", "allocates", "samples"),
    *("rounds", "distinct_fraction", "cache_resident", "extra_memory_bytes", "prepare_memory_bytes"),
    *("ceiling_gb_per_s", "fraction_of_peak"),
)
"""Columns that are those of the CSV."""
CLOCKS = ("kernel", "enqueue", "call")
DIGITS = 4
MOST_TEXT = 400
FASTEST, TIED = 1, 2
"""What ``best`` says of a record: fastest of its case, or not to be told from it; 0 for the others."""
_ESCAPED = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def embedded(results: Results) -> str:
    """The figures as JSON that can stand in a script element: plain ASCII, without <, > and &."""
    text = json.dumps(figures(results), allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.translate(_ESCAPED)


def figures(results: Results) -> dict[str, object]:
    """All the page shows that depends on the records.

    Returns:
        ``cases``: one list an axis; ``rows``: one list a column, in the order of the records, where a text or
        a case is its place in ``words`` or ``cases``, times are in µs, and intervals in 1e-4 of their value.
        A column that is the same everywhere is that value instead of a list.
    """
    cases = {case: place for place, case in enumerate(dict.fromkeys(o.record.case for o in results.outcomes))}
    best = _best(results)
    rows: dict[str, Column] = defaultdict(list)
    for outcome in results.outcomes:
        values = _values(outcome, results.environments[outcome.run])
        values |= {"case": cases[outcome.record.case], "best": best.get((outcome.run, *outcome.key), 0)}
        for name, value in values.items():
            rows[name].append(value)
    words = {name: _numbered(rows, name) for name in WORDS}
    return {
        "bytes": {**DTYPE_BYTES, **INDEX_BYTES},
        "cases": {axis: [getattr(case, axis) for case in cases] for axis in AXES},
        "words": words,
        "floors": [_floor(results.environments[run]) for run in _names(results)],
        "count": len(results.outcomes),
        "rows": {name: _short(column) for name, column in rows.items()},
    }


def _names(results: Results) -> tuple[str, ...]:
    return tuple(dict.fromkeys(o.run for o in results.outcomes))


def _floor(environment: Environment) -> float:
    return ASSUMED_NOISE_FLOOR if environment.noise_floor is None else environment.noise_floor


def _best(results: Results) -> dict[tuple[str, str, str, Case], int]:
    """Who is fastest in each case on each device of each run, and whom nothing tells from it."""
    groups: dict[tuple[str, str, Case], list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        if outcome.record.samples:
            groups[outcome.run, outcome.record.device, outcome.record.case].append(outcome)
    found: dict[tuple[str, str, str, Case], int] = {}
    for (run, _, _), group in groups.items():
        floor = _floor(results.environments[run])
        ranked, best = summary.rank(group)
        found[(run, *ranked[0].key)] = FASTEST
        for other in ranked[1:]:
            if other.key in best or _within(other, ranked[0], floor):
                found[(run, *other.key)] = TIED
    return found


def _within(other: Outcome, first: Outcome, floor: float) -> bool:
    """Whether its interval reaches down to what this machine makes of equal things."""
    clock = outcomes.common_clock(other, first)
    one, two = (stats.round_medians(outcomes.rounds(o.record, clock)) for o in (other, first))
    if sum(one) / len(one) > 2 * (1 + floor) * sum(two) / len(two):
        return False  # far beyond; the interval of the ratio costs time
    return outcomes.slowdown(other, first).low <= 1 + floor


def _values(outcome: Outcome, environment: Environment) -> dict[str, object]:
    record = outcome.record
    row = dict(zip(frame.COLUMNS, frame.row(outcome, environment), strict=True))
    values = {name: _plain(row[name]) for name in COPIED}
    for clock in CLOCKS:
        taken = getattr(record.samples, f"{clock}_s") if record.samples else None
        time = stats.median(taken) if taken and any(taken) else Estimate(math.nan, 0.0, math.inf)
        values[f"{clock}_us"] = _plain(time.value * 1e6)
        values |= _spread(clock, time.value, time.low, time.high)
    share = [row[f"fraction_of_ceiling{end}"] for end in ("", "_low", "_high")]
    values["share"] = _plain(share[0])
    values |= _spread("share", *(float(one) for one in share if isinstance(one, float)))
    seen = record.telemetry
    values["joules_per_gb"] = _positive(seen.get("joules_per_gb"))
    values["mean_power_w"] = _positive(seen.get("mean_power_w"))
    values["no_energy"] = _why(values["joules_per_gb"], seen, ("joules_per_gb", "energy_j"))
    values["no_memory"] = None if record.memory.extra_bytes is not None else record.memory.reason
    if record.samples is None:
        values["no_energy"] = values["no_memory"] = None  # its status has the reason
    return values


def _spread(name: str, value: float, low: float, high: float) -> dict[str, object]:
    """How far an interval reaches below and above its value, in 1e-4 of it, rounded up; null if unbounded."""
    known = value > 0 and low > 0 and math.isfinite(high)
    spread = (1 - low / value, high / value - 1) if known else (math.nan, math.nan)
    parts = zip(("below", "above"), spread, strict=True)
    return {f"{name}_{side}": math.ceil(s * 1e4 - 1e-6) if known else None for side, s in parts}


def _positive(value: Fact) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return _plain(value) if number and float(value or 0) > 0 else None


def _why(value: object, seen: dict[str, Fact], names: Iterable[str]) -> str | None:
    if value is not None:
        return None
    return next((str(seen[f"{n}_missing"]) for n in names if seen.get(f"{n}_missing")), "not measured")


def _plain(value: object) -> object:
    """Numbers of a few digits, null for nan."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def _numbered(rows: dict[str, Column], name: str) -> list[str]:
    """Put places in a list of texts for the texts of a column; returns that list."""
    texts = [None if text is None else str(text) for text in rows[name]]
    places = {text: place for place, text in enumerate(dict.fromkeys(t for t in texts if t is not None))}
    rows[name] = [None if text is None else places[text] for text in texts]
    return [cut(text, MOST_TEXT) for text in places]


def _short(column: Column) -> object:
    values: Sequence[object] = [int(v) if isinstance(v, bool) else v for v in column]
    values = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    first = values[0]
    return first if all(v == first for v in values) else values
