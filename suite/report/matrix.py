"""Matrix of the report: cases by backends, each as a multiple of the row's fastest."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suite.analysis import comparison
from suite.analysis.comparison import noise_floor, rank
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.cases.presets import models_of
from suite.report.tables import HOST_TIMED, only_lookups, places
from suite.text import plain
from suite.units import digits, time_of

LEGEND = (
    "how many times as long as the fastest of its row each takes, from within their rounds; the darker, the "
    "longer; host: timed by the host, unranked · columns from the fastest on average · rows in reading order"
)
STEPS = (1.1, 1.5, 3.0, 10.0)
"""A cell is a shade darker above each of these ratios."""
IDS = ("index_dtype", "distribution", "cache", "offset", "placement")
"""What the ids of a row are described by, as far as the rows differ in it."""
USUAL = {"offset": 0, "placement": "memory"}
"""What is not said where all rows have it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One case.

    Attributes:
        table: in words, with the models that have it. ids: what of them differs from row to row.
        best: the fastest time in words. ratios: how many times as long each column takes; null where it has
            no result, or none that is ranked. missing: why not, a status or HOST_TIMED.
    """

    table: str
    batch: int
    ids: str
    best: str
    ratios: tuple[float | None, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """One operation on a device of a run: rows in reading order, columns from the fastest on average on.

    Attributes:
        common: what all ids have in common, in words.
    """

    title: str
    common: str
    names: tuple[str, ...]
    rows: tuple[Row, ...]


def matrices(results: Results) -> list[Matrix]:
    """A matrix for each operation on each device of each run."""
    found = places(results)
    plainly = only_lookups(operation for _, _, operation in found)
    return [
        _matrix(
            plain(f"{run} on {device}" + ("" if plainly else f", {operation}")),
            here,
            noise_floor(results.environments[run]),
        )
        for (run, device, operation), here in found.items()
    ]


def table_of(case: Case) -> str:
    """The table in words, and the models that have it."""
    return " · ".join([case.table_text, *models_of(case)])


def _matrix(title: str, here: Sequence[Outcome], floor: float) -> Matrix:
    absent = {o.name for o in here} - {o.name for o in here if o.status != "unavailable"}
    groups: dict[Case, list[Outcome]] = defaultdict(list)
    for outcome in here:
        if outcome.name not in absent:
            groups[outcome.case].append(outcome)
    ratios = {case: comparison.times_fastest(group) for case, group in groups.items()}
    names = _columns(ratios.values(), dict.fromkeys(o.name for group in groups.values() for o in group))
    differ = [axis for axis in IDS if len({getattr(case, axis) for case in groups}) > 1]
    rows = [
        _row(case, groups[case], ratios[case], names, differ, floor)
        for case in sorted(groups, key=reading_order)
    ]
    first = next(iter(groups), None)
    same = [axis for axis in IDS if axis not in differ and first and getattr(first, axis) != USUAL.get(axis)]
    common = " ".join(word_of(first, axis) for axis in same) if first else ""
    return Matrix(title, plain(common), tuple(map(plain, names)), tuple(rows))


def reading_order(case: Case) -> tuple[object, ...]:
    """Small tables before large ones, of each table batches in order, of each batch the ids."""
    return case.table_bytes, case.table, case.table_text, case.batch, case.ids_text


def word_of(case: Case, axis: str) -> str:
    """What the ids of a case are on one of IDS."""
    value = getattr(case, axis)
    return f"offset {value}" if axis == "offset" else str(value)


def _columns(ratios: Iterable[dict[str, float]], names: Iterable[str]) -> list[str]:
    each: dict[str, list[float]] = defaultdict(list)
    for of in ratios:
        for name, ratio in of.items():
            each[name].append(ratio)
    return sorted(names, key=lambda n: statistics.median(each[n]) if each[n] else float("inf"))


def _row(
    case: Case,
    group: Sequence[Outcome],
    ratios: dict[str, float],
    names: Sequence[str],
    differ: Sequence[str],
    floor: float,
) -> Row:
    best = rank(group, floor)[0][0]
    missing = {o.name: HOST_TIMED if o.completed else o.status for o in group}
    return Row(
        plain(table_of(case)),
        case.batch,
        plain(" ".join(word_of(case, axis) for axis in differ)),
        time_of(comparison.median(best).value) if best.completed else "",
        tuple(map(ratios.get, names)),
        tuple("" if name in ratios else missing.get(name, "") for name in names),
    )


def cell(ratio: float | None, missing: str) -> str:
    """A cell: how many times as long as the fastest of the row, or that it failed or is not ranked."""
    if ratio is None:
        return {"": "", HOST_TIMED: "host"}.get(missing, "failed")
    return "1x" if ratio == 1 else f"{digits(ratio)}x"
