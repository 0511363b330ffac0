"""Columns of the table: the values of many outcomes, column by column."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from suite.analysis import comparison, reduce
from suite.analysis.fields import CASE_THROTTLED, COLUMNS
from suite.analysis.outcomes import Results
from suite.analysis.reduce import Estimates
from suite.cases.case import AXES
from suite.records.record import Environment, Fact, Record
from suite.stats import Rounds

NAN = math.nan
UNREAD = "not measured"
_COUNTED = ("dram_bytes_per_lookup", "joules_per_lookup", "joules_per_gb", "mean_power_w")
NONE = {
    **dict.fromkeys((*_COUNTED, "sustained_gb_per_s", "dram_gb_per_s"), NAN),
    **dict.fromkeys(("sm_clock_before_mhz", "sm_clock_after_mhz", "throttled_s"), NAN),
    **dict.fromkeys(("dram_missing", "energy_missing")),
}
_NOT_READ = {**NONE, "dram_missing": UNREAD, "energy_missing": UNREAD}


def figures(record: Record) -> Mapping[str, object]:
    """Numbers, nan where they are missing, and why: nothing of a failure, whose status has the reason."""
    seen = record.telemetry
    if record.samples is None:
        return NONE
    if not seen:
        return _NOT_READ
    counted = {name: _number(seen.get(name)) for name in _COUNTED}
    lookups, elapsed_s = _number(seen.get("sustained_lookups")), _number(seen.get("sustained_s"))
    held_down = [_number(value) for name, value in seen.items() if name.startswith(CASE_THROTTLED)]
    return {
        **counted,
        "sustained_gb_per_s": lookups * record.case.payload_bytes / elapsed_s / 1e9 if elapsed_s > 0 else NAN,
        "dram_gb_per_s": _number(seen.get("dram_bytes_per_s")) / 1e9,
        "dram_missing": _why(counted["dram_bytes_per_lookup"], seen, "dram_bytes_per_s"),
        "energy_missing": _why(counted["joules_per_lookup"], seen, "joules_per_lookup", "energy_j"),
        "sm_clock_before_mhz": _number(seen.get("sm_clock_hz_before")) / 1e6,
        "sm_clock_after_mhz": _number(seen.get("sm_clock_hz_after")) / 1e6,
        "throttled_s": max((one for one in held_down if one >= 0), default=NAN),
    }


def _number(fact: Fact) -> float:
    return float(fact) if isinstance(fact, int | float) and not isinstance(fact, bool) else NAN


def _why(value: float, seen: Mapping[str, Fact], *names: str) -> str | None:
    """The reason that stands beside the first of the missing figures that has one."""
    if not math.isnan(value):
        return None
    return next((str(seen[f"{n}_missing"]) for n in names if seen.get(f"{n}_missing")), UNREAD)


Column = list[Any]

TOGETHER = 500
"""So many outcomes are looked at column by column while they are in the processor's cache, then the next."""

PEAK = "theoretical_peak_bytes_per_s"


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
        calls[k] if r.clock == "call" else _medians(comparison.rounds(r, r.clock))
        for k, r in enumerate(records)
    ]
    found = reduce.medians(heads)
    of_calls = found if heads == calls else reduce.medians(calls)
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
        **_interval(reduce.medians(enqueues), *_ends("enqueue")),
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
    times = [comparison.rounds(r, r.clock) for r in records]
    copies = [comparison.rounds(o.ceiling, o.record.clock) if o.ceiling else () for o in results.outcomes]
    payload = np.array([r.case.payload_bytes for r in records], float)
    copied = np.array([comparison.ceiling_bytes(r.case) for r in records], float)
    peak = np.array([_peak(o.record, results.environments[o.run]) for o in results.outcomes])
    per_s = payload / found.value
    slower, share = reduce.medians(list(map(_ratios, times, copies))), payload / copied
    with np.errstate(divide="ignore"):
        fraction = Estimates(share / slower.value, share / slower.high, share / slower.low)
    return {
        "gb_per_s": (per_s / 1e9).tolist(),
        "ceiling_gb_per_s": (copied / reduce.medians([_medians(c) for c in copies]).value / 1e9).tolist(),
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
    rows = [figures(o.record) for o in results.outcomes]
    return {name: [row[name] for row in rows] for name in NONE}


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
