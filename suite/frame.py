"""Results as tables of pandas: one row a record, or one row a sample."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from suite import bulk, counters, outcomes
from suite.bulk import Estimates
from suite.case import AXES
from suite.fields import COLUMNS
from suite.folders import Given, expand, names
from suite.outcomes import Results
from suite.record import Environment, Record
from suite.stats import Rounds
from suite.store import Run, StoreError

Column = list[Any]

TOGETHER = 500
"""So many outcomes are looked at column by column while they are in the processor's cache, then the next."""
NAN = math.nan
PEAK = "theoretical_peak_bytes_per_s"


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


def columns(results: Results) -> dict[str, Column]:
    """The values of all outcomes by column, in the order of ``COLUMNS``; None or nan where there is none."""
    found: dict[str, Column] = {name: [] for name in COLUMNS}
    for start in range(0, len(results.outcomes), TOGETHER):
        some = replace(results, outcomes=results.outcomes[start : start + TOGETHER])
        for name, values in _columns(some).items():
            found[name] += values
    return found


def _columns(results: Results) -> dict[str, Column]:
    records = [o.record for o in results.outcomes]
    calls = [_medians(r.samples.call_s if r.samples else None) for r in records]
    heads = [
        calls[k] if r.clock == "call" else _medians(outcomes.rounds(r, r.clock))
        for k, r in enumerate(records)
    ]
    found = bulk.medians(heads)
    of_calls = found if heads == calls else bulk.medians(calls)
    return {
        **_names(results),
        **_interval(found, "median_us", "ci_low_us", "ci_high_us"),
        **_interval(of_calls, *_ends("call")),
        **_taken(results),
        "rounds": [len(head) or None for head in heads],
        **_speeds(results, found),
        **_bytes(results),
        **_counted(results),
    }


def _names(results: Results) -> dict[str, Column]:
    records = [o.record for o in results.outcomes]
    values: dict[str, Column] = {axis: [getattr(r.case, axis) for r in records] for axis in AXES}
    for name in ("backend", "device", "status", "reason", "measurement", "clock", "converged"):
        values[name] = [getattr(r, name) for r in records]
    return {**values, "run": [o.run for o in results.outcomes]}


def _taken(results: Results) -> dict[str, Column]:
    taken = [o.record.samples for o in results.outcomes]
    enqueues = [_medians(s.enqueue_s) if s else () for s in taken]
    return {
        **_interval(bulk.medians(enqueues), *_ends("enqueue")),
        "samples": [o.samples if o.record.samples else None for o in results.outcomes],
        "autocorrelation": _floats([o.autocorrelation for o in results.outcomes]),
        "held": [s.held if s else None for s in taken],
    }


def _medians(reduced: Rounds | None) -> Sequence[float]:
    """The medians of an outcome's rounds, which hold one sample each or none."""
    return [*itertools.chain.from_iterable(reduced)] if reduced else ()


def _ends(clock: str) -> tuple[str, str, str]:
    return f"{clock}_us", f"{clock}_low_us", f"{clock}_high_us"


def _interval(found: Estimates, *names: str, unit: float = 1e6) -> dict[str, Column]:
    """Columns of values and bounds; an interval that reaches infinity, for want of rounds, is none."""
    bounded = np.isfinite(found.high) & (found.low > 0)
    low, high = np.where(bounded, found.low, NAN), np.where(bounded, found.high, NAN)
    return {
        name: (values * unit).tolist() for name, values in zip(names, (found.value, low, high), strict=True)
    }


def _speeds(results: Results, found: Estimates) -> dict[str, Column]:
    records = [o.record for o in results.outcomes]
    times = [outcomes.rounds(r, r.clock) for r in records]
    copies = [outcomes.rounds(o.ceiling, o.record.clock) if o.ceiling else () for o in results.outcomes]
    payload = np.array([r.case.payload_bytes for r in records], float)
    copied = np.array([outcomes.ceiling_bytes(r.case) for r in records], float)
    peak = np.array([_peak(o.record, results.environments[o.run]) for o in results.outcomes])
    per_s = payload / found.value
    slower, share = bulk.medians(list(map(_ratios, times, copies))), payload / copied
    with np.errstate(divide="ignore"):
        fraction = Estimates(share / slower.value, share / slower.high, share / slower.low)
    return {
        "gb_per_s": (per_s / 1e9).tolist(),
        "ceiling_gb_per_s": (copied / bulk.medians([_medians(c) for c in copies]).value / 1e9).tolist(),
        **_interval(fraction, *(f"fraction_of_ceiling{end}" for end in ("", "_low", "_high")), unit=1.0),
        "fraction_of_peak": (per_s / peak).tolist(),
    }


def _ratios(times: Rounds, base: Rounds) -> list[float]:
    """How many times longer each round took, of those that both took part in; reduced, as in ``_medians``."""
    return [a[0] / b[0] for a, b in zip(times, base, strict=False) if a and b]


def _bytes(results: Results) -> dict[str, Column]:
    records = [o.record for o in results.outcomes]
    seen = [(r.case, r.traffic) for r in records]
    return {
        "payload_bytes": [case.payload_bytes for case, _ in seen],
        "compulsory_bytes": [case.compulsory_bytes(t.distinct) if t else None for case, t in seen],
        "distinct_fraction": [t.distinct / case.batch if t else NAN for case, t in seen],
        "touched_bytes": [t.touched_bytes if t else None for _, t in seen],
        "cache_bytes": [t.cache_bytes if t else None for _, t in seen],
        "cache_resident": [t.cache_resident if t else None for _, t in seen],
        "huge_pages_fraction": _floats([t.huge_pages if t else None for _, t in seen]),
        "prepare_memory_bytes": [r.memory.prepare_bytes for r in records],
        "extra_memory_bytes": [r.memory.extra_bytes for r in records],
        "allocates": [r.memory.allocates for r in records],
    }


def _counted(results: Results) -> dict[str, Column]:
    rows = [counters.figures(o.record) for o in results.outcomes]
    return {name: [row[name] for row in rows] for name in counters.NONE}


def _floats(values: Iterable[float | None]) -> Column:
    return [NAN if value is None else value for value in values]


def _peak(record: Record, environment: Environment) -> float:
    """Bytes a second that the GPU's memory could move by its data sheet; nan on a CPU or where unknown."""
    if record.device.startswith("cpu"):
        return NAN
    peak = record.telemetry.get(PEAK, environment.gpu.get(PEAK))
    if isinstance(peak, bool | str) or not peak or peak <= 0:
        return NAN
    return float(peak)
