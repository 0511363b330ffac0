"""Cache states: how many batches rotate, and the cache flush where rotation is not enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from suite.cases import formula
from suite.cases.case import Case
from suite.engine.arrays import Arrays

Flush = Callable[[], None]
"""Empties the caches; on a GPU it enqueues that."""

MAX_SLOTS = 1024
MOST_EVICTED = 8
"""Where a turn is one lookup, after which all is cold again, so many batches do."""
SPARE_BYTES = 2**14
"""The most that lies around the ids and the output of a slot."""
_WORD = 4
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


def needed_bytes(case: Case, cache_bytes: int) -> int:
    """The most that a case on a GPU takes beside its table.

    Its outputs, the sources of the copy and the results that one backend keeps in a turn are each what the
    caches are emptied by and two lookups' more; with them are the ids, the flush, and the copy of a result
    that is checked.
    """
    emptied = MARGIN * cache_bytes
    rotating, of_ids = emptied + 2 * case.rows_bytes, emptied + 2 * case.ids_bytes
    return 3 * rotating + of_ids + emptied + case.rows_bytes + MAX_SLOTS * SPARE_BYTES


def flush_of(arrays: Arrays, cache_bytes: int) -> Flush:
    """A call that pushes everything else out of the caches of a device."""
    memory = arrays.bytes(-(-MARGIN * cache_bytes // _WORD) * _WORD)
    words = arrays.view(memory, "int32") if arrays.device.is_gpu else memory

    def read() -> None:
        words.amax()  # written to, they would go back to memory during the lookup that follows

    def add_one(part: slice) -> None:
        # A part for every processor: each has caches of its own. Read and written, so none is spared.
        np.add(memory[part], 1, out=memory[part])

    def add_everywhere() -> None:
        formula.parallel(add_one, len(memory))

    return read if arrays.device.is_gpu else add_everywhere
