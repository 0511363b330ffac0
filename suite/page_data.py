"""What the page holds: the figures of every record by column, small enough for a hundred thousand of them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from suite import frame, ranking
from suite.case import AXES, DTYPE_BYTES, INDEX_BYTES, Case
from suite.outcomes import Outcome, Results
from suite.text import cut

Column = list[object]

WORDS = ("run", "device", "backend", "status", "reason", "clock", "no_memory", "no_energy", "no_dram")
"""Columns of text: each holds places in a list of the texts that occur."""
COPIED = (
    *("status", "reason", "device", "backend", "run", "clock", "converged", "held", "allocates", "samples"),
    *("rounds", "distinct_fraction", "cache_resident", "extra_memory_bytes", "prepare_memory_bytes"),
    *("ceiling_gb_per_s", "fraction_of_peak"),
)
"""Columns that are those of the CSV."""
COUNTED = ("sustained_gb_per_s", "dram_gb_per_s", "joules_per_gb", "mean_power_w")
"""Columns of figures that counters saw."""
CLOCKS = ("kernel", "enqueue", "call")
HEADLINE = ("median_us", "ci_low_us", "ci_high_us")
DIGITS = 4
MOST_TEXT = 400
FASTEST, TIED = 1, 2
"""What ``best`` says of a record: fastest of its case, or not told from it; 0 for the others."""
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
    columns = frame.columns(results)
    for outcome, *row in zip(results.outcomes, *columns.values(), strict=True):
        values = _values(outcome, dict(zip(columns, row, strict=True)))
        values |= {"case": cases[outcome.record.case], "best": best.get((outcome.run, *outcome.key), 0)}
        for name, value in values.items():
            rows[name].append(value)
    words = {name: _numbered(rows, name) for name in WORDS}
    return {
        "bytes": {**DTYPE_BYTES, **INDEX_BYTES},
        "cases": {axis: [getattr(case, axis) for case in cases] for axis in AXES},
        "words": words,
        "floors": [ranking.noise_floor(results.environments[run]) for run in _names(results)],
        "count": len(results.outcomes),
        "rows": {name: _short(column) for name, column in rows.items()},
    }


def _names(results: Results) -> tuple[str, ...]:
    return tuple(dict.fromkeys(o.run for o in results.outcomes))


def _best(results: Results) -> dict[tuple[str, str, str, Case], int]:
    """Who is fastest in each case on each device of each run, and whom nothing tells from it."""
    groups: dict[tuple[str, str, Case], list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        if outcome.record.samples:
            groups[outcome.run, outcome.record.device, outcome.record.case].append(outcome)
    found: dict[tuple[str, str, str, Case], int] = {}
    for (run, _, _), group in groups.items():
        ranked, best = ranking.rank(group, ranking.noise_floor(results.environments[run]))
        found |= {(run, *key): TIED for key in best}
        found[(run, *ranked[0].key)] = FASTEST
    return found


def _values(outcome: Outcome, row: Mapping[str, object]) -> dict[str, object]:
    record = outcome.record
    values = {name: _plain(row[name]) for name in COPIED}
    for clock in CLOCKS:
        head = record.clock == clock
        time, low, high = HEADLINE if head else (f"{clock}_us", f"{clock}_low_us", f"{clock}_high_us")
        values[f"{clock}_us"] = _plain(row.get(time))
        values |= _spread(clock, row.get(time), row.get(low), row.get(high))
    names = [f"fraction_of_ceiling{end}" for end in ("", "_low", "_high")]
    values["share"] = _plain(row[names[0]])
    values |= _spread("share", *map(row.get, names))
    values |= {name: _positive(row[name]) for name in COUNTED}
    values |= {"no_energy": row["energy_missing"], "no_dram": row["dram_missing"]}
    unknown = record.samples is not None and record.memory.extra_bytes is None
    values["no_memory"] = record.memory.reason if unknown else None  # of a failure, its status has the reason
    return values


def _spread(name: str, value: object, low: object, high: object) -> dict[str, object]:
    """How far an interval reaches below and above its value, in 1e-4 of it, rounded up; null if unbounded."""
    value, low, high = (one if isinstance(one, float) else math.nan for one in (value, low, high))
    known = value > 0 and low > 0 and math.isfinite(high)
    spread = (1 - low / value, high / value - 1) if known else (math.nan, math.nan)
    parts = zip(("below", "above"), spread, strict=True)
    return {f"{name}_{side}": math.ceil(s * 1e4 - 1e-6) if known else None for side, s in parts}


def _positive(value: object) -> object:
    return _plain(value) if isinstance(value, float) and value > 0 else None


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
