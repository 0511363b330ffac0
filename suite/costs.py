"""What the counters saw beside the times, in sentences: memory traffic, energy, clocks held down."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence

from suite.case import Case
from suite.fields import CASE_THROTTLED
from suite.outcomes import Outcome
from suite.record import Fact, Record
from suite.text import count, digits

MOST_NAMED = 8
HELD_DOWN_S = 0.1
"""The driver counts about so finely how long clocks were held down."""
SERVED = 0.95
"""Counters are taken at their word to 5 %: from this share of the declared bytes on nothing is missing."""


def sentences(here: Sequence[Outcome]) -> list[str]:
    """At most one each on DRAM traffic, energy and clocks; none where nothing was counted."""
    counted = [o for o in here if o.record.samples and o.record.telemetry]
    return [*_traffic(counted), *_energy(counted), *_clocks(counted)]


def _traffic(counted: Sequence[Outcome]) -> list[str]:
    """Bytes declared against bytes that memory moved: caches serve the difference, or waste makes it.

    The copy that took turns with the one that is named went through the same counters. Its bytes are known,
    so it tells how far the counters can be trusted.
    """
    found = []
    for outcome in counted:
        rates = _rates(outcome.record)
        if rates:
            found.append((outcome.record.case.payload_bytes, *rates, outcome))
    if not found:
        return []
    _, declared, seen, outcome = max(found, key=lambda one: one[:3])
    line = f"lookups on end: counters saw {digits(seen / 1e9)} GB/s of DRAM traffic where "
    line += f"{digits(declared / 1e9)} GB/s are declared ({outcome.record.backend} on {outcome.record.case})"
    copy = _rates(outcome.ceiling) if outcome.ceiling else None
    if copy:
        line += f", and for the plain copy beside it {digits(copy[1] / copy[0])}x its known bytes"
    ratios = [seen / declared for _, declared, seen, _ in found]
    if len(ratios) > 1:
        span = f"{digits(min(ratios))}x to {digits(max(ratios))}x"
        middle = digits(statistics.median(ratios))
        line += f"; {middle}x the declared bytes at the median of {count(len(ratios), 'result')} ({span})"
    return [f"{line}; what is under 1x, caches served" if min(ratios) < SERVED else line]


def _rates(record: Record) -> tuple[float, float] | None:
    """Bytes a second: those declared and those the counters saw; nothing where either is missing."""
    declared = _positive(record.telemetry.get("payload_bytes_per_s"))
    seen = _positive(record.telemetry.get("dram_bytes_per_s"))
    return (declared, seen) if declared and seen else None


def _energy(counted: Sequence[Outcome]) -> list[str]:
    """Joules for a GB of payload, over the cases in which all that have any were read."""
    joules: dict[str, dict[Case, float]] = defaultdict(dict)
    for outcome in counted:
        spent = _positive(outcome.record.telemetry.get("joules_per_gb"))
        if spent:
            joules[outcome.record.backend][outcome.record.case] = spent
    if not joules:
        return []
    most = max(map(len, joules.values()))
    named = {name: of for name, of in joules.items() if 2 * len(of) >= most}
    common = set.intersection(*(set(of) for of in named.values()))
    if not common:
        return []
    middle = {name: statistics.median(of[case] for case in common) for name, of in named.items()}
    order = sorted(middle, key=lambda name: (middle[name], name))
    said = ", ".join(f"{name} {digits(middle[name])} J" for name in order[:MOST_NAMED])
    more = f" and {len(order) - MOST_NAMED} more" if len(order) > MOST_NAMED else ""
    return [f"energy for a GB of payload at the median over {count(len(common), 'case')}: {said}{more}"]


def _clocks(counted: Sequence[Outcome]) -> list[str]:
    causes: dict[str, int] = defaultdict(int)
    slowed = 0
    for outcome in counted:
        seen = outcome.record.telemetry
        held = [
            name.removeprefix(CASE_THROTTLED).removesuffix("_s").replace("_", " ")
            for name, fact in seen.items()
            if name.startswith(CASE_THROTTLED) and (_positive(fact) or 0.0) > HELD_DOWN_S
        ]
        slowed += bool(held)
        for cause in held:
            causes[cause] += 1
    if not slowed:
        return []
    why = ", ".join(f"{cause} {n}" for cause, n in sorted(causes.items(), key=lambda one: (-one[1], one[0])))
    of = count(len(counted), "result")
    return [f"clocks were held down while {slowed} of {of} were measured: {why}"]


def _positive(fact: Fact) -> float | None:
    if isinstance(fact, bool) or not isinstance(fact, int | float) or fact <= 0:
        return None
    return float(fact)
