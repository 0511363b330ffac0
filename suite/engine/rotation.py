"""Cache states: how many batches rotate, and the cache flush where rotation is not enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from suite.cases.case import Case
from suite.engine import formula
from suite.engine.arrays import Arrays

Flush = Callable[[], None]
"""Empties the caches; on a GPU it enqueues that."""

MAX_SLOTS = 1024
MOST_EVICTED = 8
"""Where a turn is one lookup, after which all is cold again, so many batches do."""
MARGIN = 2
"""A cache is taken as emptied once this many times its size has gone through it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a case is kept in its cache state.

    Attributes:
        slots: batches that rotate. flush: whether the caches must be flushed before each turn as well.
    """

    slots: int
    flush: bool


def rotation_of(case: Case, distinct: int, cache_bytes: int) -> Rotation:
    """Rotate distinct batches until twice the cache has gone by; flush where there are too few rows for that.

    Args:
        distinct: distinct ids of a batch. cache_bytes: what has to be emptied.
    """
    if case.repeats:
        return Rotation(1, flush=False)
    need = math.ceil(MARGIN * cache_bytes / touched_bytes(case, distinct)) + 1
    apart = max(1, case.vocab // distinct)
    if case.evicted:
        return Rotation(min(need, apart, MOST_EVICTED), flush=True)
    if need <= min(MAX_SLOTS, apart):
        return Rotation(max(2, need), flush=False)
    return Rotation(min(MAX_SLOTS, apart, need), flush=True)


def touched_bytes(case: Case, distinct: int) -> int:
    """Bytes one lookup brings into the cache: its ids, its distinct rows, its output."""
    return case.compulsory_bytes(distinct)


def flush_of(arrays: Arrays, cache_bytes: int) -> Flush:
    """A call that pushes everything else out of the caches of a device."""
    memory = arrays.bytes(MARGIN * cache_bytes)

    def fill() -> None:
        memory.fill_(1)

    def add_one(part: slice) -> None:
        # A part for every processor: each has caches of its own. Read and written, so none is spared.
        np.add(memory[part], 1, out=memory[part])

    def add_everywhere() -> None:
        formula.parallel(add_one, len(memory))

    return fill if arrays.device.is_gpu else add_everywhere
