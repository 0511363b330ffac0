"""Results as tables of pandas: one row a record, or one row a sample."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from suite import outcomes, stats
from suite.case import AXES
from suite.outcomes import Outcome, Results
from suite.record import Environment, Record
from suite.stats import Estimate
from suite.store import Run

NAN = math.nan
PEAK = "theoretical_peak_bytes_per_s"

COLUMNS = {
    "run": "string",
    "backend": "string",
    "status": "string",
    "reason": "string",
    "device": "string",
    "vocab": "Int64",
    "dim": "Int64",
    "dtype": "string",
    "index_dtype": "string",
    "batch": "Int64",
    "distribution": "string",
    "cache": "string",
    "clock": "string",
    "median_us": "float64",
    "ci_low_us": "float64",
    "ci_high_us": "float64",
    "samples": "Int64",
    "rounds": "Int64",
    "converged": "boolean",
    "enqueue_us": "float64",
    "call_us": "float64",
    "payload_bytes": "Int64",
    "compulsory_bytes": "Int64",
    "distinct_fraction": "float64",
    "gb_per_s": "float64",
    "ceiling_gb_per_s": "float64",
    "fraction_of_ceiling": "float64",
    "fraction_of_ceiling_low": "float64",
    "fraction_of_ceiling_high": "float64",
    "fraction_of_peak": "float64",
    "prepare_memory_bytes": "Int64",
    "extra_memory_bytes": "Int64",
    "allocates": "boolean",
    "touched_bytes": "Int64",
    "cache_bytes": "Int64",
    "cache_resident": "boolean",
    "autocorrelation": "float64",
    "held": "boolean",
    "measurement": "string",
}
"""The table's columns, in order, and the pandas type of each."""


def load(*patterns: str | os.PathLike[str]) -> pd.DataFrame:
    """All records of the runs that the patterns name, one row each; a failure has a reason and no numbers.

    Units are in the names (GB = 1e9 bytes); text and flags may be missing (``pd.NA``), numbers nan. What
    was amiss with a run is warned about, and stands in ``attrs["notes"]``.

    Args:
        patterns: folders of runs, or patterns such as ``"results/*"``.

    Raises:
        StoreError: nothing can be shown.
    """
    results = outcomes.read(patterns)
    for note in results.notes:
        warnings.warn(note, stacklevel=2)
    return frame(results)


def samples(*patterns: str | os.PathLike[str]) -> pd.DataFrame:
    """Every sample of the runs, in order: what it is of, ``time`` (its clock), ``round``, ``seconds``.

    Raises:
        StoreError: as ``load``.
    """
    heads: list[tuple[object, ...]] = []
    seconds: list[tuple[float, ...]] = []
    for folder in outcomes.expand(patterns):
        run = Run.open(folder)
        for item in run.read():
            if not isinstance(item, Record):
                warnings.warn(str(item), stacklevel=2)
                continue
            axes = [getattr(item.case, axis) for axis in AXES]
            head = (folder.name, item.measurement, item.role, item.backend, item.device, *axes)
            for clock, number, one in _rounds(item):
                heads.append((*head, clock, number))
                seconds.append(one)
    names = ["run", "measurement", "role", "backend", "device", *AXES, "time", "round"]
    table = pd.DataFrame.from_records(heads, columns=names)
    table = table.loc[table.index.repeat([len(one) for one in seconds])].reset_index(drop=True)
    table["seconds"] = np.fromiter(itertools.chain.from_iterable(seconds), float)
    return table


def _rounds(record: Record) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    for clock in ("settling", "kernel", "enqueue", "call"):
        for number, one in enumerate(getattr(record.samples, f"{clock}_s", None) or ()):
            yield clock, number, one


def frame(results: Results) -> pd.DataFrame:
    """The outcomes as a table with the columns of ``COLUMNS``."""
    rows = [row(outcome, results.environments[outcome.run]) for outcome in results.outcomes]
    table = pd.DataFrame.from_records(rows, columns=list(COLUMNS)).astype(COLUMNS)
    table.attrs["notes"] = list(results.notes)
    return table


def row(outcome: Outcome, environment: Environment) -> tuple[object, ...]:
    """The values of one outcome, in the order of ``COLUMNS``."""
    values: dict[str, object] = {}
    for part in _PARTS:
        values.update(part(outcome, environment))
    return tuple(values[name] for name in COLUMNS)


def _names(outcome: Outcome, _: Environment) -> dict[str, object]:
    record = outcome.record
    values: dict[str, object] = {axis: getattr(record.case, axis) for axis in AXES}
    for name in ("backend", "device", "status", "reason", "measurement", "clock", "converged"):
        values[name] = getattr(record, name)
    return {**values, "run": outcome.run}


def _times(outcome: Outcome, _: Environment) -> dict[str, object]:
    record, taken = outcome.record, outcome.record.samples
    time = _bounded(outcomes.median(outcome))
    return {
        "median_us": time.value * 1e6,
        "ci_low_us": time.low * 1e6,
        "ci_high_us": time.high * 1e6,
        "samples": outcome.samples if taken else None,
        "rounds": sum(map(bool, outcomes.rounds(record, record.clock))) if taken else None,
        "enqueue_us": stats.median(taken.enqueue_s).value * 1e6 if taken and taken.enqueue_s else NAN,
        "call_us": stats.median(taken.call_s).value * 1e6 if taken else NAN,
        "autocorrelation": NAN if outcome.autocorrelation is None else outcome.autocorrelation,
        "held": taken.held if taken else None,
    }


def _speeds(outcome: Outcome, environment: Environment) -> dict[str, object]:
    record, copy = outcome.record, outcome.ceiling
    per_s = record.case.payload_bytes / outcomes.median(outcome).value if record.samples else NAN
    copy_s = stats.median(outcomes.rounds(copy, record.clock)).value if copy else NAN
    fraction = outcomes.fraction_of_ceiling(outcome)
    share = _bounded(fraction) if fraction else Estimate(NAN, NAN, NAN)
    return {
        "gb_per_s": per_s / 1e9,
        "ceiling_gb_per_s": outcomes.ceiling_bytes(record.case) / copy_s / 1e9,
        "fraction_of_ceiling": share.value,
        "fraction_of_ceiling_low": share.low,
        "fraction_of_ceiling_high": share.high,
        "fraction_of_peak": per_s / _peak(record, environment),
    }


def _bytes(outcome: Outcome, _: Environment) -> dict[str, object]:
    case, memory, traffic = outcome.record.case, outcome.record.memory, outcome.record.traffic
    return {
        "payload_bytes": case.payload_bytes,
        "compulsory_bytes": case.compulsory_bytes(traffic.distinct) if traffic else None,
        "distinct_fraction": traffic.distinct / case.batch if traffic else NAN,
        "touched_bytes": traffic.touched_bytes if traffic else None,
        "cache_bytes": traffic.cache_bytes if traffic else None,
        "cache_resident": traffic.cache_resident if traffic else None,
        "prepare_memory_bytes": memory.prepare_bytes,
        "extra_memory_bytes": memory.extra_bytes,
        "allocates": memory.allocates,
    }


_PARTS: tuple[Callable[[Outcome, Environment], dict[str, object]], ...] = (_names, _times, _speeds, _bytes)


def _bounded(estimate: Estimate) -> Estimate:
    """An interval that reaches infinity, for want of rounds, is none."""
    if math.isfinite(estimate.high) and estimate.low > 0:
        return estimate
    return Estimate(estimate.value, NAN, NAN)


def _peak(record: Record, environment: Environment) -> float:
    """Bytes a second that the GPU's memory could move by its data sheet; nan on a CPU or where unknown."""
    peak = record.telemetry.get(PEAK, environment.gpu.get(PEAK))
    if record.device.startswith("cpu") or isinstance(peak, bool | str) or not peak or peak <= 0:
        return NAN
    return float(peak)
