"""Backends of gradients and updates through the real check and clock, in this process."""

from __future__ import annotations

from backends import Backend, Choice, Own
from suite.cases.case import Case
from suite.engine import measure
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table
from suite.records.record import Fact, Record
from suite.telemetry.host import HostObserver
from suite.telemetry.reading import Reading
from suite.telemetry.sustained import Work


def set_up(case: Case, limit_s: float = 0.1) -> measure.Setup:
    """A case on the CPU, with a cache so small that a few batches rotate."""
    arrays, table_memory = HostArrays(), Reading(0)
    settings = measure.Settings(limit_s=limit_s, cache_bytes=2**17)
    return measure.Setup(case, arrays, build_table(arrays, case), table_memory, Sustains(), settings)


class Sustains(HostObserver):
    """Calls once more after the last check, as a GPU's does for its counters."""

    def sustained(self, work: Work, seconds: float) -> dict[str, Fact]:
        for lookup in work.calls:
            lookup()
        return {}


def measured(setup: measure.Setup, *backends: type[Backend] | str) -> dict[str, Record]:
    """A record of each backend, by name, and of the copy beside them, by ``ceiling``."""
    choices = [
        Choice(one, one) if isinstance(one, str) else Own(one.__name__, one.__name__, backend=one)
        for one in backends
    ]
    records = measure.measure(setup, choices, "m", lambda *_: None)
    return {"ceiling" if one.role == "ceiling" else one.backend: one for one in records}
