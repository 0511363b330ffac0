"""Results as tables of pandas: one row a record, or one row a sample."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from suite.analysis import outcomes
from suite.analysis.columns import Column, columns
from suite.analysis.fields import COLUMNS
from suite.analysis.folders import Given, expand, names
from suite.analysis.outcomes import Results
from suite.cases.case import AXES
from suite.records.record import Record
from suite.records.store import Run, StoreError


def load(*patterns: Given) -> pd.DataFrame:
    """All records of the runs that the patterns name, one row each; a failure has a reason and no numbers.

    Units are in the names (GB = 1e9 bytes); text and flags may be missing (``pd.NA``), numbers nan. What
    was amiss with a run is warned about, and stands in ``attrs["notes"]``.

    Args:
        patterns: runs, folders of runs, or patterns such as ``"results/*"``; one by one or in lists.

    Raises:
        StoreError: nothing can be shown.
        TypeError: something that names no file.
    """
    return loaded(patterns, 2)


def loaded(patterns: Iterable[Given], calls: int) -> pd.DataFrame:
    """The same; what was amiss is warned about at the line that many calls away."""
    results = outcomes.read(patterns)
    for note in results.notes:
        warnings.warn(note, stacklevel=calls + 1)
    return frame(results)


def samples(*patterns: Given) -> pd.DataFrame:
    """Every sample of the runs, in order: what it is of, ``time`` (its clock), ``round``, ``seconds``.

    What was amiss with a run or a line is warned about.

    Raises:
        StoreError: no run can be read.
    """
    rows: list[tuple[object, ...]] = []
    seconds: list[tuple[float, ...]] = []
    amiss: list[str] = []
    folders = expand(patterns)
    for folder, name in zip(folders, names(folders), strict=True):
        try:
            for item in Run.open(folder).read():
                if isinstance(item, Record):
                    axes = [getattr(item.case, axis) for axis in AXES]
                    head = (name, item.measurement, item.role, item.backend, item.device, *axes)
                    for clock, number, one in _rounds(item):
                        rows.append((*head, clock, number))
                        seconds.append(one)
                else:
                    amiss.append(str(item))
        except StoreError as error:
            amiss.append(str(error))
    if not rows:
        raise StoreError(
            "\n".join(amiss) or "no samples in what was given; give a folder that suite.run made"
        )
    for line in amiss:
        warnings.warn(line, stacklevel=2)
    named = zip(
        ("run", "measurement", "role", "backend", "device", *AXES, "time", "round"),
        zip(*rows, strict=True),
        strict=True,
    )
    kinds = {**COLUMNS, "role": "string", "time": "string", "round": "Int64"}
    table = pd.DataFrame({name: _series(list(values), kinds[name]) for name, values in named})
    table = table.loc[table.index.repeat([len(one) for one in seconds])].reset_index(drop=True)
    table["seconds"] = np.fromiter(itertools.chain.from_iterable(seconds), float)
    return table


def _rounds(record: Record) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    for clock in ("settling", "kernel", "enqueue", "call"):
        for number, one in enumerate(getattr(record.samples, f"{clock}_s", None) or ()):
            yield clock, number, one


def frame(results: Results) -> pd.DataFrame:
    """The outcomes as a table with the columns of ``COLUMNS``."""
    with outcomes.uncollected():
        found = columns(results)
    table = pd.DataFrame({name: _series(values, COLUMNS[name]) for name, values in found.items()})
    table.attrs["notes"] = list(results.notes)
    return table


def _series(values: Column, kind: str) -> pd.Series[Any]:
    # Left to itself, pandas would keep texts in pyarrow where that is installed, which refuses some of ours.
    return pd.Series(values, dtype=pd.StringDtype("python") if kind == "string" else kind)
