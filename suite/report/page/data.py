"""Data of the page: every record's figures by column, compact enough for a hundred thousand records."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends import UnknownBackend, describe
from suite.analysis import outcomes
from suite.analysis.columns import columns
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.analysis.reduce import TIMINGS
from suite.cases.case import AXES, Case
from suite.cases.presets import models_of
from suite.report.looks import look
from suite.report.page.box import box, with_times
from suite.report.page.judged import judged
from suite.text import cut

Column = list[Any]
Floats = NDArray[np.float64]

WORDS = (
    *("run", "device", "backend", "environment", "whose", "status", "reason", "clock", "slow"),
    *("no_memory", "no_energy", "no_dram"),
)
"""Columns of text: each holds places in a list of the texts that occur."""
SHARED = (*WORDS, "compulsory_bytes")
"""Columns kept so, as their values are long and repeat."""
COPIED = (
    "status",
    "reason",
    "device",
    "run",
    "environment",
    "whose",
    "clock",
    "converged",
    "held",
    "allocates",
    "samples",
    "rounds",
    "passes",
    "full_speed_fraction",
    "at_full_speed",
    "distinct_fraction",
    "cache_resident",
    "extra_memory_bytes",
    "prepare_memory_bytes",
    "ceiling_gb_per_s",
    "fraction_of_peak",
)
"""Columns that are those of the CSV."""
COUNTED = ("sustained_gb_per_s", "dram_gb_per_s", "joules_per_gb", "mean_power_w")
"""Columns of counters' figures."""
OF_CASES = ("payload_bytes", "ceiling_bytes", "row_bytes", "rows_bytes", "table_bytes")
"""Bytes of a case, by the one byte model."""
DIGITS = 4
MOST_TEXT = 400
_ESCAPED = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def embedded(results: Results, baseline: str | None = None, by_call: Results | None = None) -> str:
    """The figures as JSON that can stand in a script element.

    Args:
        baseline: the backend that others are compared with, where one was asked for.
        by_call: the same read by call times, of which ``call`` has what differs.
    """
    with outcomes.uncollected():
        every = _every(results, baseline)
        if by_call is not None:
            every["call"] = _differing(every, _every(by_call, baseline))
    return as_json(every)


def as_json(tree: object) -> str:
    """JSON that can stand in a script element: plain ASCII, without <, > and &."""
    text = json.dumps(tree, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.translate(_ESCAPED)


def _every(results: Results, baseline: str | None) -> dict[str, Any]:
    return {**figures(results), "judged": judged(results, baseline), "box": box(results)}


def _differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of another the parts that differ; of texts the places and the texts together."""
    names = [
        name
        for name, column in other["rows"].items()
        if column != one["rows"][name] or other["words"].get(name) != one["words"].get(name)
    ]
    return {
        "rows": {name: other["rows"][name] for name in names},
        "words": {name: other["words"][name] for name in names if name in other["words"]},
        "judged": {name: other["judged"][name] for name in ("ranked", "pairs")},
        "box": other["box"],
    }


def figures(results: Results) -> dict[str, object]:
    """All data of the page that depends on the records.

    Returns:
        ``axes``: their names. ``counts``: of each operation what a batch is a number of. ``cases``: by axis,
        and by figure or text of a case, a list with a place for each case. ``words``: the texts of a column;
        ``alone`` has the backends without their environments. ``looks``, ``about``: of each backend its
        colour and mark, and what it is. ``rows``: a list a column, in the order of the records, where a text
        or a case is its place in ``words`` or ``cases``, times are in µs, and intervals in 1e-4 of their
        value. A column that is the same everywhere is that value instead of a list.
    """
    with outcomes.uncollected():
        rows, cases = _rows(results)
    of_cases = {name: [getattr(case, name) for case in cases] for name in (*AXES, *OF_CASES)}
    of_cases |= {
        "table": [with_times(case.table_text, case) for case in cases],
        "ids": [case.ids_text for case in cases],
        "models": [", ".join(models_of(case)) for case in cases],
    }
    words = {name: _numbered(rows, name) for name in SHARED}
    words |= {name: _numbered(of_cases, name) for name in ("table", "ids", "models")}
    alone = {o.name: o.backend for o in results.outcomes}
    words["alone"] = [cut(name, MOST_TEXT) for name in alone.values()]
    looks, about = [look(name) for name in alone.values()], [_about(name) for name in alone.values()]
    return {
        "axes": AXES,
        "counts": counts(results),
        "cases": of_cases,
        "words": words,
        "looks": looks,
        "about": about,
        "count": len(results.outcomes),
        "rows": {name: _short(column) for name, column in rows.items()},
    }


def counts(results: Results) -> dict[str, str]:
    """What a batch of each operation is a number of, in the order of the records."""
    return {o.case.operation: o.case.kind.counts for o in results.outcomes}


def _rows(results: Results) -> tuple[dict[str, Column], list[Case]]:
    cases = {case: place for place, case in enumerate(dict.fromkeys(o.case for o in results.outcomes))}
    table = columns(results)
    rows = {name: _plain(table[name]) for name in COPIED}
    rows["backend"] = [o.name for o in results.outcomes]
    rows["slow"] = [o.slow_note for o in results.outcomes]
    rows["compulsory_bytes"] = table["compulsory_bytes"]
    for timing in TIMINGS:
        ends = [np.array(table[f"{timing}{end}_us"]) for end in ("", "_low", "_high")]
        rows[f"{timing}_us"] = _plain(ends[0].tolist())
        rows |= _spread(timing, *ends)
    share = [np.array(table[f"fraction_of_ceiling{end}"]) for end in ("", "_low", "_high")]
    rows["share"] = _plain(share[0].tolist())
    rows |= _spread("share", *share)
    rows |= {name: _plain([v if v > 0 else math.nan for v in table[name]]) for name in COUNTED}
    rows |= {"no_energy": table["energy_missing"], "no_dram": table["dram_missing"]}
    rows["no_memory"] = list(map(_no_memory, results.outcomes))
    rows["case"] = [cases[o.case] for o in results.outcomes]
    return rows, list(cases)


def _about(backend: str) -> str:
    """What a backend is, as its own file says; nothing of one that is not of this tree."""
    try:
        return cut(describe(backend).summary, MOST_TEXT)
    except (UnknownBackend, OSError, ValueError):
        return ""


def _no_memory(outcome: Outcome) -> str | None:
    """Why the memory of a lookup is unknown; null of a failure, whose status has the reason."""
    unknown = outcome.completed and outcome.memory.extra_bytes is None
    return outcome.memory.reason if unknown else None


def _spread(name: str, value: Floats, low: Floats, high: Floats) -> dict[str, Column]:
    """How far intervals reach below and above, in 1e-4 of their values, rounded up; null if unbounded."""
    bounded = (value > 0) & np.isfinite(low) & np.isfinite(high)
    spread = np.full((2, len(value)), math.nan)
    spread[:, bounded] = 1 - low[bounded] / value[bounded], high[bounded] / value[bounded] - 1
    below, above = (
        [None if math.isnan(v) else v for v in of.tolist()] for of in np.ceil(spread * 1e4 - 1e-6)
    )
    return {f"{name}_below": below, f"{name}_above": above}


def _plain(column: Column) -> Column:
    """Numbers rounded to a few digits, null for nan and infinity."""
    if float not in {*map(type, column)}:
        return column
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in column]


def _numbered(columns: dict[str, Column], name: str) -> Column:
    """Replace the values of a column by their places in a list of those that occur; returns that list."""
    values = [value for value in dict.fromkeys(columns[name]) if value is not None]
    places = {value: place for place, value in enumerate(values)}
    columns[name] = [*map(places.get, columns[name])]
    return [cut(value, MOST_TEXT) if isinstance(value, str) else value for value in values]


def _short(column: Column) -> object:
    kinds = {*map(type, column)}
    if kinds & {bool, float}:
        column = [int(v) if isinstance(v, bool) else v for v in column]
        column = [int(v) if isinstance(v, float) and v.is_integer() else v for v in column]
    return column[0] if column.count(column[0]) == len(column) else column
