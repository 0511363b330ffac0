"""Columns of the table: the values of many outcomes, column by column."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from suite.analysis import comparison, reduce
from suite.analysis.fields import COLUMNS, ORIGIN
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.analysis.reduce import TIMINGS, Estimates, Timing
from suite.cases.case import AXES
from suite.records.device import CPU
from suite.records.figures import CASE_THROTTLED
from suite.records.record import Environment, Fact
from suite.stats import Estimate, ratios

NAN = math.nan
UNREAD = "not measured"
_COUNTED = ("dram_bytes_per_lookup", "joules_per_lookup", "joules_per_gb", "mean_power_w")
NONE = {
    **dict.fromkeys((*_COUNTED, "sustained_gb_per_s", "dram_gb_per_s"), NAN),
    **dict.fromkeys(("sm_clock_before_mhz", "sm_clock_after_mhz", "throttled_s"), NAN),
    **dict.fromkeys(("dram_missing", "energy_missing")),
}
FILE_FIGURES = (
    "file_resident_fraction_before",
    "file_resident_fraction_after",
    "file_read_pages_per_lookup",
    "file_read_bytes_per_lookup",
    "file_over_read",
)
_NOT_READ = {**NONE, "dram_missing": UNREAD, "energy_missing": UNREAD}


def figures(outcome: Outcome) -> Mapping[str, object]:
    """Its counters' figures, nan where missing, and why; none of a failure, whose status has the reason."""
    counters = outcome.telemetry
    if not outcome.completed:
        return NONE
    if not counters:
        return _NOT_READ
    counted = {name: _number(counters.get(name)) for name in _COUNTED}
    lookups, elapsed_s = _number(counters.get("sustained_lookups")), _number(counters.get("sustained_s"))
    payload = outcome.case.payload_bytes
    held_down = [_number(value) for name, value in counters.items() if name.startswith(CASE_THROTTLED)]
    return {
        **counted,
        "sustained_gb_per_s": lookups * payload / elapsed_s / 1e9 if elapsed_s > 0 else NAN,
        "dram_gb_per_s": _number(counters.get("dram_bytes_per_s")) / 1e9,
        "dram_missing": _why(counted["dram_bytes_per_lookup"], counters, "dram_bytes_per_s"),
        "energy_missing": _why(counted["joules_per_lookup"], counters, "joules_per_lookup", "energy_j"),
        "sm_clock_before_mhz": _number(counters.get("sm_clock_hz_before")) / 1e6,
        "sm_clock_after_mhz": _number(counters.get("sm_clock_hz_after")) / 1e6,
        "throttled_s": max((one for one in held_down if one >= 0), default=NAN),
    }


def _number(fact: Fact) -> float:
    return float(fact) if isinstance(fact, int | float) and not isinstance(fact, bool) else NAN


def _why(value: float, counters: Mapping[str, Fact], *names: str) -> str | None:
    """The reason that stands beside the first of the missing figures that has one."""
    if not math.isnan(value):
        return None
    return next((str(counters[f"{n}_missing"]) for n in names if counters.get(f"{n}_missing")), UNREAD)


Column = list[Any]

TOGETHER = 500
"""How many outcomes are set out at a time: few enough to stay in the processor's cache."""

MOST_THREADS = 2**31
MIXED = {
    "machine": "{} machines",
    "commit": "{} commits",
    "method": "{} methods",
    "threads": "{} numbers of threads",
    "packages": "{} sets of packages of a backend",
}
"""What rows may mix that are read together, in words."""
PEAK = "theoretical_peak_bytes_per_s"
_COPIED = (
    "run",
    "backend",
    "device",
    "status",
    "reason",
    "measurement",
    "environment",
    "clock",
    "converged",
    "held",
)


def columns(results: Results) -> dict[str, Column]:
    """The values of all outcomes by column, in the order of ``COLUMNS``; None or nan where there is none."""
    table: dict[str, Column] = {name: [] for name in COLUMNS}
    ranks = comparison.ranks(results)
    for start in range(0, len(results.outcomes), TOGETHER):
        some = replace(results, outcomes=results.outcomes[start : start + TOGETHER])
        for name, values in _columns(some).items():
            table[name] += values
    table["rank"] = [ranks.get((o.run, o.key)) for o in results.outcomes]
    return table


def _columns(results: Results) -> dict[str, Column]:
    some = results.outcomes
    result = _times(some, [o.clock for o in some])
    others = {timing: _times(some, [timing] * len(some)) for timing in TIMINGS}
    return {
        **_names(some),
        "whose": [comparison.whose(o.backend, results.environments[o.run]) for o in some],
        **_interval(result, "median_us", "ci_low_us", "ci_high_us"),
        **{
            name: each
            for timing, of in others.items()
            for name, each in _interval(of, *_ends(timing)).items()
        },
        "rounds": [count or None for count in result.counts.tolist()],
        "passes": [len(o.passes) or None for o in some],
        "full_speed_fraction": _floats([o.full_speed_share for o in some]),
        "at_full_speed": [o.decides if o.full_speed is not None else None for o in some],
        "samples": [o.samples if o.completed else None for o in some],
        "autocorrelation": _floats([o.autocorrelation for o in some]),
        **_speeds(results, result),
        **_bytes(some),
        **_counted(some),
        **_files(some),
        "accumulates_in": [_text(o.telemetry.get("accumulates_in")) for o in some],
        **_origin(some, results.environments),
    }


def _names(some: Sequence[Outcome]) -> dict[str, Column]:
    axes: dict[str, Column] = {axis: [getattr(o.case, axis) for o in some] for axis in AXES}
    return axes | {name: [getattr(o, name) for o in some] for name in _COPIED}


def _times(some: Sequence[Outcome], timings: Sequence[Timing | None]) -> Estimates:
    """As ``comparison.time``; of one pass whose rounds all count, of many outcomes at once."""
    given = list(zip(some, timings, strict=True))
    return _replaced(
        reduce.medians([o.times(timing) if _is_plain(o) else () for o, timing in given]),
        {
            k: (comparison.time(o, timing), len(o.counted))
            for k, (o, timing) in enumerate(given)
            if not _is_plain(o)
        },
    )


def _replaced(many: Estimates, others: Mapping[int, tuple[Estimate, int]]) -> Estimates:
    """The same, with other estimates in some places, each with the number of values it is of."""
    for place, (one, count) in others.items():
        many.value[place], many.low[place], many.high[place] = one.value, one.low, one.high
        many.counts[place] = count
    return many


def _ends(timing: str) -> tuple[str, str, str]:
    return f"{timing}_us", f"{timing}_low_us", f"{timing}_high_us"


def _interval(estimates: Estimates, *names: str, unit: float = 1e6) -> dict[str, Column]:
    """Columns of values and bounds; an interval that reaches infinity, for want of rounds, is none."""
    low, high = (np.where(estimates.bounded, end, NAN) for end in (estimates.low, estimates.high))
    values = zip(names, (estimates.value, low, high), strict=True)
    return {name: (value * unit).tolist() for name, value in values}


def _speeds(results: Results, result: Estimates) -> dict[str, Column]:
    some = results.outcomes
    payload = np.array([o.case.payload_bytes for o in some], float)
    copied = np.array([o.case.ceiling_bytes for o in some], float)
    peak = np.array([_peak(o, results.environments[o.run]) for o in some])
    per_s = payload / result.value
    copies = _times([o.ceiling or o for o in some], [o.clock if o.ceiling else None for o in some])
    slower, share = _ceiling_ratios(some), payload / copied
    with np.errstate(divide="ignore"):
        fraction = Estimates(share / slower.value, share / slower.high, share / slower.low, slower.counts)
    return {
        "gb_per_s": (per_s / 1e9).tolist(),
        "ceiling_gb_per_s": (copied / copies.value / 1e9).tolist(),
        **_interval(fraction, *(f"fraction_of_ceiling{end}" for end in ("", "_low", "_high")), unit=1.0),
        "fraction_of_peak": (per_s / peak).tolist(),
    }


def _ceiling_ratios(some: Sequence[Outcome]) -> Estimates:
    """As ``comparison.ceiling_ratio``; of one pass whose rounds all count, of many outcomes at once."""
    plain = [_is_plain(o) and (o.ceiling is None or _is_plain(o.ceiling)) for o in some]
    return _replaced(
        reduce.medians(
            [
                ratios(o.rounds, o.ceiling.times(o.clock)) if simple and o.ceiling else ()
                for o, simple in zip(some, plain, strict=True)
            ]
        ),
        {k: (comparison.ceiling_ratio(o), 0) for k, o in enumerate(some) if not plain[k]},
    )


def _is_plain(outcome: Outcome) -> bool:
    return len(outcome.passes) < 2 and outcome.chosen is None


def _bytes(some: Sequence[Outcome]) -> dict[str, Column]:
    of = [(o.case, o.traffic) for o in some]
    return {
        "row_bytes": [case.row_bytes for case, _ in of],
        "payload_bytes": [case.payload_bytes for case, _ in of],
        "compulsory_bytes": [case.compulsory_bytes(t.distinct) if t else None for case, t in of],
        "distinct_fraction": [t.distinct / case.ids if t else NAN for case, t in of],
        "touched_bytes": [t.touched_bytes if t else None for _, t in of],
        "cache_bytes": [t.cache_bytes if t else None for _, t in of],
        "cache_resident": [t.cache_resident if t else None for _, t in of],
        "huge_pages_fraction": _floats([t.huge_pages if t else None for _, t in of]),
        "prepare_memory_bytes": [o.memory.prepare_bytes for o in some],
        "extra_memory_bytes": [o.memory.extra_bytes for o in some],
        "allocates": [o.memory.allocates for o in some],
    }


def _counted(some: Sequence[Outcome]) -> dict[str, Column]:
    rows = list(map(figures, some))
    return {name: [row[name] for row in rows] for name in NONE}


def _files(some: Sequence[Outcome]) -> dict[str, Column]:
    """What was seen of a table in a file; nan and None of one in memory."""
    figures: dict[str, Column] = {
        name: [_number(o.telemetry.get(name)) if o.completed else NAN for o in some] for name in FILE_FIGURES
    }
    return figures | {
        name: [_text(o.telemetry.get(name)) for o in some] for name in ("file_system", "file_device")
    }


def _text(fact: Fact) -> str | None:
    return fact if isinstance(fact, str) else None


def _origin(some: Sequence[Outcome], environments: Mapping[str, Environment]) -> dict[str, Column]:
    known: dict[tuple[str, str, str, str | None], tuple[Any, ...]] = {}
    rows = []
    for o in some:
        key = o.run, o.device, o.backend, o.environment
        if key not in known:
            known[key] = origin(o, environments[o.run])
        rows.append(known[key])
    return {name: [row[place] for row in rows] for place, name in enumerate(ORIGIN)}


def origin(outcome: Outcome, where: Environment) -> tuple[Any, ...]:
    """Where and with what an outcome was measured: the values of ``ORIGIN``."""
    threads = where.settings.get("threads")
    return (
        where.created,
        where.machine,
        device_name(outcome.device, where),
        threads if type(threads) is int and 0 < threads < MOST_THREADS else None,
        where.commit,
        where.dirty,
        outcome.method,
        ", ".join(packages_of(outcome, where)) or None,
    )


def device_name(device: str, where: Environment) -> str | None:
    """The model of a run's processor or GPU."""
    name = where.cpu.get("model") if device == str(CPU) else where.gpu.get("name")
    return None if name is None else str(name)


def packages_of(outcome: Outcome, where: Environment) -> list[str]:
    """The packages that its backend needs, each with the version it had; none where the run does not say."""
    held = where.packages if outcome.environment is None else where.environments.get(outcome.environment, {})
    names = re.split(r"[ |]", str(where.requires.get(outcome.backend) or ""))
    normal = (re.sub(r"[-_.]+", "-", name).lower() for name in names if name)
    return [f"{name} {held[name]}" for name in normal if held.get(name) is not None]


def mixture(results: Results) -> str | None:
    """What runs read together differ in, so that their rows should not be averaged; null where in nothing."""
    origins = {(o.run, o.device, o.backend, o.environment): o for o in results.outcomes}
    rows = [
        (o, dict(zip(ORIGIN, origin(o, results.environments[o.run]), strict=True))) for o in origins.values()
    ]
    by_backend: dict[tuple[str, str | None], set[str | None]] = defaultdict(set)
    for outcome, row in rows:
        by_backend[outcome.backend, outcome.environment].add(row["packages"])
    numbers = {
        "machine": len({row["machine"] for _, row in rows}),
        "commit": len({(row["commit"], row["dirty"]) for _, row in rows}),
        "method": len({row["method"] for _, row in rows}),
        "threads": len({row["threads"] for _, row in rows}),
        "packages": max(map(len, by_backend.values()), default=0),
    }
    mixed = {name: number for name, number in numbers.items() if number > 1}
    if not mixed:
        return None
    said = ", ".join(MIXED[name].format(number) for name, number in mixed.items())
    return f"these rows mix {said}: group by {', '.join(mixed)}"


def with_mixture(results: Results) -> Results:
    """The results with a note on what they mix, if they do."""
    return replace(results, notes=(*results.notes, *filter(None, [mixture(results)])))


def _floats(values: Iterable[float | None]) -> Column:
    return [NAN if value is None else value for value in values]


def _peak(outcome: Outcome, environment: Environment) -> float:
    """Bytes a second that the GPU's memory could move by its data sheet; nan on a CPU or where unknown."""
    if outcome.device == str(CPU):
        return NAN
    peak = outcome.telemetry.get(PEAK, environment.gpu.get(PEAK))
    if isinstance(peak, bool | str) or not peak or peak <= 0:
        return NAN
    return float(peak)
