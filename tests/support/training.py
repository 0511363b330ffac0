"""Backends of gradients and updates through the real check and clock, in this process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backends import Backend, Choice, Own, Unsupported, load
from suite.cases.case import Case
from suite.engine import check, measure
from suite.engine.arrays import HostArrays
from suite.engine.operands import build_table, lay_out
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


SHAPES: tuple[tuple[int, int, Sequence[int], str], ...] = (
    (1, 1, [0] * 33, "int64"),
    (1, 129, [0], "int64"),
    (7, 100, [6, 0, 6, 3, 6], "int32"),
    (300, 33, [*range(300), *range(300)], "int64"),
    (5000, 64, [*range(0, 4096, 2), *range(4999, 1000, -3), *[17] * 700], "int32"),
)
"""Rows, columns, ids and their type: one row, odd widths, all repeated, enough for more threads than one."""


def verdict(name: str, variant: str, shape: tuple[int, int, str, str], numbers: Sequence[int]) -> str | None:
    """What the check says of a backend of the tree, twice on one slot; none where it is right or refuses."""
    backend = load(name)
    vocab, dim, dtype, index_dtype = shape
    case = Case(vocab, dim, dtype, len(numbers), index_dtype, operation=backend.operation, variant=variant)
    arrays = HostArrays()
    operands = lay_out(case, arrays, build_table(arrays, case), [np.array(numbers, index_dtype)])
    slot = operands.slots[0]
    try:
        lookup = operands.prepared(backend(), slot)
    except Unsupported as reason:
        assert str(reason)
        return None
    for seed in (5, 6):
        if found := check.check(operands, slot, lookup, backend.clock, seed)[0]:
            return found
    return None
