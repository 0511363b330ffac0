"""Results as tables of pandas: one row a record, or one row a sample."""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from suite.analysis import outcomes, speed
from suite.analysis.columns import Column, columns, with_mixture
from suite.analysis.fields import COLUMNS
from suite.analysis.folders import Given, expand
from suite.analysis.outcomes import Results
from suite.analysis.speed import Metered
from suite.cases.case import AXES
from suite.records.record import Environment, Record
from suite.records.store import StoreError

HEAD = (
    *("run", "measurement", "pass", "role", "backend", "environment", "device", *AXES),
    *("time", "round", "full_speed"),
)
"""Columns of a table of samples, before ``seconds``."""
KINDS = {
    **COLUMNS,
    **dict.fromkeys(("role", "time"), "string"),
    **dict.fromkeys(("pass", "round"), "Int64"),
    "full_speed": "boolean",
}


def load(*patterns: Given) -> pd.DataFrame:
    """All records of runs as a table, one row each; a failure has a reason and no numbers.

    Units are in the names (GB = 1e9 bytes); text and flags may be missing (``pd.NA``), numbers nan. Problems
    with a run are warned about, and listed in ``attrs["notes"]``.

    One warning says what runs differ in that are read together; each is a column to group by, as in
    ``table.groupby(["machine", "method", "backend", "batch"])``.

    Args:
        patterns: runs, folders of runs, or patterns such as ``"results/*"``; one by one or in lists.

    Raises:
        StoreError: nothing can be shown.
        TypeError: an argument that names no file.
    """
    results = with_mixture(outcomes.read(patterns))
    for note in results.notes:
        warnings.warn(note, stacklevel=2)
    return frame(results)


def samples(*patterns: Given) -> pd.DataFrame:
    """Every sample of runs, in order: what it is of, ``time`` (its clock), ``round``, ``seconds``.

    ``pass`` is the pass over the cases, ``full_speed`` whether the machine was at full speed in the sample's
    turn (``pd.NA`` without a meter): of these rounds are the results, where there are enough.

    Problems with a run or a line are warned about.

    Raises:
        StoreError: no run can be read.
    """
    rounds: list[_Round] = []
    problems: list[str] = []
    parts = outcomes.parts(expand(patterns), problems)
    for name, run in parts.items():
        try:
            records = [record for record, _ in outcomes.possible(run, name, problems)]
            rounds += _rounds_of(name, records, run.environment)
        except StoreError as error:
            problems.append(str(error))
    if not rounds:
        raise StoreError("\n".join(problems) or _none_in(list(parts)))
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return _long(rounds)


def _none_in(runs: Sequence[str]) -> str:
    return f"{', '.join(runs)}: no backend completed a case, so there are no samples; suite.load says why"


_Round = tuple[tuple[object, ...], tuple[float, ...]]
"""The values of HEAD, and the samples."""


def _rounds_of(run: str, records: Sequence[Record], environment: Environment) -> Iterator[_Round]:
    groups: dict[speed.Place, dict[speed.Key, Metered]] = defaultdict(dict)
    for record in records:
        if metered := Metered.of(record):
            groups[record.measurement, record.device][speed.key_of(record)] = metered
    flags = speed.judge(groups, environment.full_speed_s).flags
    for record in records:
        place = record.measurement, record.device
        yield from _rounds(run, record, flags.get(place, {}).get(speed.key_of(record), ()))


def _rounds(run: str, record: Record, full_speed: Sequence[bool]) -> Iterator[_Round]:
    axes = [getattr(record.case, axis) for axis in AXES]
    head = (run, record.measurement, record.pass_number, record.role, record.backend, record.environment)
    for time in ("settling", "kernel", "enqueue", "call"):
        each = getattr(record.samples, f"{time}_s", None) or ()
        for number, (seconds, full) in enumerate(itertools.zip_longest(each, full_speed[: len(each)])):
            yield (*head, record.device, *axes, time, number, full), seconds


def _long(rounds: Sequence[_Round]) -> pd.DataFrame:
    """One row a sample."""
    heads, seconds = zip(*rounds, strict=True)
    parts = dict(zip(HEAD, zip(*heads, strict=True), strict=True))
    table = pd.DataFrame({name: _series(list(values), KINDS[name]) for name, values in parts.items()})
    table = table.loc[table.index.repeat(list(map(len, seconds)))].reset_index(drop=True)
    table["seconds"] = np.fromiter(itertools.chain.from_iterable(seconds), float)
    return table


def frame(results: Results) -> pd.DataFrame:
    """The outcomes as a table with the columns of ``COLUMNS``."""
    with outcomes.uncollected():
        values = columns(results)
    table = pd.DataFrame({name: _series(column, COLUMNS[name]) for name, column in values.items()})
    table.attrs["notes"] = list(results.notes)
    return table


def _series(values: Column, kind: str) -> pd.Series[Any]:
    # By default pandas keeps texts in pyarrow where that is installed, which refuses some texts of records.
    return pd.Series(values, dtype=pd.StringDtype("python") if kind == "string" else kind)
