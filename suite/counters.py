"""What the counters saw of a record, under the names of the table's columns."""

from __future__ import annotations

import math
from collections.abc import Mapping

from suite.fields import CASE_THROTTLED
from suite.record import Fact, Record

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
