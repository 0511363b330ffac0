"""Part of a GPU's card: its clocks, heat and driver, what held it down and where, and each case's fastest."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from suite.analysis import columns, comparison
from suite.analysis.outcome import Outcome
from suite.analysis.outcomes import Results
from suite.cases.case import Case
from suite.records.figures import CASE, CASE_THROTTLED, CAUSES, GAUGES
from suite.records.record import Environment, Fact
from suite.stats import geometric_mean
from suite.text import plain
from suite.units import count, digits, time_of

Span = tuple[float, float]
SHOWN = 30
"""Cases that are shown at once; more are folded."""
LEAST_HELD_S = 0.001
"""Clocks that were held down for less in all rounds of a case were not."""
TIMES = ("kernel", "graph", "enqueue", "call")
HEAD = ("case", "fastest", "GB/s", "of peak", "of copy", *TIMES)


def part(here: Sequence[Outcome], environment: Environment) -> dict[str, object] | None:
    """What the card of a GPU shows beside what every card does; None of a CPU."""
    if not here or here[0].device.startswith("cpu"):
        return None
    held = _held(here)
    rows = list(_rows(here, environment, held))
    return {
        "badge": _badge(held, here),
        "state": [plain(word) for word in _state(here, environment.gpu)],
        "head": HEAD,
        "rows": rows,
        "folded": len(rows) > SHOWN,
    }


def reference(here: Sequence[Outcome], environment: Environment) -> str | None:
    """The CPU's reference beside a GPU in one line; None of a card of its own, as of several backends."""
    if not here or not here[0].device.startswith("cpu") or len(environment.devices) < 2:
        return None
    if len({outcome.name for outcome in here if outcome.completed}) > 1:
        return None
    table = columns.columns(Results({here[0].run: environment}, tuple(here), ()))
    speeds: dict[str, list[float]] = defaultdict(list)
    for name, speed in zip(table["backend"], table["gb_per_s"], strict=True):
        if speed > 0:
            speeds[name].append(speed)
    found = [
        f"{plain(name)} {digits(geometric_mean(of))} GB/s on average over {count(len(of), 'case')}"
        for name, of in speeds.items()
    ]
    return f"Reference on the CPU beside it: {', '.join(found) or 'not measured'}"


def _held(here: Sequence[Outcome]) -> dict[Case, dict[str, float]]:
    """For how long which cause held the clocks down in the rounds of a case, where one did."""
    found: dict[Case, dict[str, float]] = {}
    for outcome in here:
        for cause in CAUSES:
            held_s = _number(outcome.telemetry.get(f"{CASE_THROTTLED}{cause}_s"))
            if held_s >= LEAST_HELD_S:
                of = found.setdefault(outcome.case, {})
                of[cause] = max(held_s, of.get(cause, 0.0))
    return found


def _badge(held: Mapping[Case, Mapping[str, float]], here: Sequence[Outcome]) -> tuple[str, str]:
    """Whether clocks were held down, as a kind (held, free, unknown) and in words."""
    cases = len({outcome.case for outcome in here})
    if held:
        by_cause = {cause: sum(of.get(cause, 0.0) for of in held.values()) for cause in CAUSES}
        words = ", ".join(f"{time_of(s)} by {CAUSES[cause]}" for cause, s in by_cause.items() if s)
        return "held", f"clocks held down in {len(held)} of {count(cases, 'case')}: {words}"
    if any(math.isfinite(_number(f)) for o in here for f in _throttling(o)):
        return "free", "clocks never held down"
    return "unknown", "not known whether clocks were held down"


def _throttling(outcome: Outcome) -> Iterator[Fact]:
    return (fact for name, fact in outcome.telemetry.items() if name.startswith(CASE_THROTTLED))


def _state(here: Sequence[Outcome], gpu: Mapping[str, Fact]) -> Iterator[str]:
    """Clocks and temperatures before and after the cases, and how the GPU is set."""
    known = [(name, 1e6, "MHz") for name in ("sm_clock_hz", "memory_clock_hz")]
    known += [(name, 1.0, "°C") for name in ("temperature_c", "memory_temperature_c")]
    words = dict(zip(GAUGES, ("temperature", "of its memory", "SM clock", "memory clock"), strict=True))
    for name, by, unit in known:
        before, after = (_span(here, name, when) for when in ("before", "after"))
        if before and after:
            most = _number(gpu.get(f"max_{name}")) / by
            limit = f", {most:,.0f} at most" if math.isfinite(most) else ""
            yield f"{words[name]} {_ends(before, by)} {unit} before a case, {_ends(after, by)} after{limit}"
    for name, form in (("driver_version", "driver {}"), ("cuda_driver_version", "CUDA {}")):
        if gpu.get(name) is not None:
            yield form.format(gpu[name])
    if (limit_w := _number(gpu.get("power_limit_w"))) > 0:
        yield f"power limit {limit_w:.0f} W"
    if isinstance(gpu.get("ecc_enabled"), bool):
        yield f"ECC {'on' if gpu['ecc_enabled'] else 'off'}"


def _span(here: Sequence[Outcome], name: str, when: str) -> Span | None:
    """The lowest and the highest of a figure, of the cases; of the counters' phase where cases have none."""
    for prefix in (CASE, ""):
        found = [_number(outcome.telemetry.get(f"{prefix}{name}_{when}")) for outcome in here]
        if finite := [value for value in found if math.isfinite(value)]:
            return min(finite), max(finite)
    return None


def _ends(span: Span, by: float) -> str:
    low, high = (f"{value / by:,.0f}" for value in span)
    return low if low == high else f"{low}–{high}"


def _rows(
    here: Sequence[Outcome], environment: Environment, held: Mapping[Case, Mapping[str, float]]
) -> Iterator[dict[str, Any]]:
    """A row a case: its fastest by its clock, and its mark where clocks were held down."""
    groups: dict[Case, list[Outcome]] = defaultdict(list)
    for outcome in here:
        if outcome.completed:
            groups[outcome.case].append(outcome)
    floor = comparison.noise_floor(environment)
    best = [comparison.rank(group, floor)[0][0] for group in groups.values()]
    table = columns.columns(Results({here[0].run: environment}, tuple(best), ()))
    for place, one in enumerate(best):

        def of(name: str, place: int = place) -> float:
            return _number(table.get(name, {place: None})[place])

        times = [_time(of(f"{timing}_us")) for timing in TIMES]
        shares = [_percent(of(f"fraction_of_{what}")) for what in ("peak", "ceiling")]
        causes = held.get(one.case, {})
        yield {
            "cells": [str(one.case), plain(one.name), digits(of("gb_per_s")), *shares, *times],
            "mark": ", ".join(f"{time_of(s)} by {CAUSES[cause]}" for cause, s in causes.items()),
        }


def _time(microseconds: float) -> str:
    return time_of(microseconds * 1e-6) if math.isfinite(microseconds) else "–"


def _percent(share: float) -> str:
    return f"{share:.{1 if share < 0.1 else 0}%}" if math.isfinite(share) else "–"


def _number(fact: object) -> float:
    return float(fact) if isinstance(fact, int | float) and not isinstance(fact, bool) else math.nan
