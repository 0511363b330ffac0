"""What the page holds: the figures of every record by column, small enough for a hundred thousand of them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suite.analysis import comparison, outcomes
from suite.analysis.columns import columns
from suite.analysis.outcomes import Outcome, Results
from suite.cases.case import AXES, DTYPE_BYTES, INDEX_BYTES, Case
from suite.text import cut

Column = list[Any]
Floats = NDArray[np.float64]

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
    with outcomes.uncollected():
        rows, cases = _rows(results)
    words = {name: _numbered(rows, name) for name in WORDS}
    return {
        "bytes": {**DTYPE_BYTES, **INDEX_BYTES},
        "cases": {axis: [getattr(case, axis) for case in cases] for axis in AXES},
        "words": words,
        "floors": [comparison.noise_floor(results.environments[run]) for run in _names(results)],
        "count": len(results.outcomes),
        "rows": {name: _short(column) for name, column in rows.items()},
    }


def _rows(results: Results) -> tuple[dict[str, Column], list[Case]]:
    cases = {case: place for place, case in enumerate(dict.fromkeys(o.case for o in results.outcomes))}
    found = columns(results)
    rows = {name: _plain(found[name]) for name in COPIED}
    clocks = np.array(found["clock"], object)
    headline = [np.array(found[name]) for name in HEADLINE]
    none = [math.nan] * len(results.outcomes)
    for clock in CLOCKS:
        names = (f"{clock}_us", f"{clock}_low_us", f"{clock}_high_us")
        ends = [
            np.where(clocks == clock, head, found.get(name, none))
            for head, name in zip(headline, names, strict=True)
        ]
        rows[f"{clock}_us"] = _plain(ends[0].tolist())
        rows |= _spread(clock, *ends)
    share = [np.array(found[f"fraction_of_ceiling{end}"]) for end in ("", "_low", "_high")]
    rows["share"] = _plain(share[0].tolist())
    rows |= _spread("share", *share)
    rows |= {name: _plain([v if v > 0 else math.nan for v in found[name]]) for name in COUNTED}
    rows |= {"no_energy": found["energy_missing"], "no_dram": found["dram_missing"]}
    rows["no_memory"] = list(map(_no_memory, results.outcomes))
    rows["case"] = [cases[o.case] for o in results.outcomes]
    best = _best(results)
    rows["best"] = [best.get((o.run, *o.key), 0) for o in results.outcomes]
    return rows, list(cases)


def _names(results: Results) -> tuple[str, ...]:
    return tuple(dict.fromkeys(o.run for o in results.outcomes))


def _best(results: Results) -> dict[tuple[str, str, str, Case], int]:
    """Who is fastest in each case on each device of each run, and whom nothing tells from it."""
    groups: dict[tuple[str, str, Case], list[Outcome]] = defaultdict(list)
    for outcome in results.outcomes:
        if outcome.completed:
            groups[outcome.run, outcome.device, outcome.case].append(outcome)
    found: dict[tuple[str, str, str, Case], int] = {}
    for (run, _, _), group in groups.items():
        ranked, best = comparison.rank(group, comparison.noise_floor(results.environments[run]))
        found |= {(run, *key): TIED for key in best}
        found[(run, *ranked[0].key)] = FASTEST
    return found


def _no_memory(outcome: Outcome) -> str | None:
    """Why the memory of a lookup is unknown; null of a failure, whose status has the reason."""
    unknown = outcome.completed and outcome.memory.extra_bytes is None
    return outcome.memory.reason if unknown else None


def _spread(name: str, value: Floats, low: Floats, high: Floats) -> dict[str, Column]:
    """How far intervals reach below and above, in 1e-4 of their values, rounded up; null if unbounded."""
    known = (value > 0) & (low > 0) & np.isfinite(high)
    spread = np.full((2, len(value)), math.nan)
    spread[:, known] = 1 - low[known] / value[known], high[known] / value[known] - 1
    below, above = (
        [None if math.isnan(v) else v for v in of.tolist()] for of in np.ceil(spread * 1e4 - 1e-6)
    )
    return {f"{name}_below": below, f"{name}_above": above}


def _plain(column: Column) -> Column:
    """Numbers of a few digits, null for nan and infinity."""
    if float not in {*map(type, column)}:
        return column
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in column]


def _numbered(rows: dict[str, Column], name: str) -> list[str]:
    """Put places in a list of texts for the texts of a column; returns that list."""
    texts = [text for text in dict.fromkeys(rows[name]) if text is not None]
    places = {text: place for place, text in enumerate(texts)}
    rows[name] = [*map(places.get, rows[name])]
    return [cut(text, MOST_TEXT) for text in texts]


def _short(column: Column) -> object:
    kinds = {*map(type, column)}
    if kinds & {bool, float}:
        column = [int(v) if isinstance(v, bool) else v for v in column]
        column = [int(v) if isinstance(v, float) and v.is_integer() else v for v in column]
    return column[0] if column.count(column[0]) == len(column) else column
