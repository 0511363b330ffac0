"""Cold and hot: how many batches take turns, and the sweep that empties the caches where turns can't."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from suite.cases.case import Case
from suite.engine import formula
from suite.engine.arrays import Arrays

MAX_SLOTS = 1024
MARGIN = 2
"""A cache is taken as emptied once this many times its size has gone through it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a case is kept cold.

    Attributes:
        slots: batches that take turns. sweep: whether the caches must be swept before each turn of them.
    """

    slots: int
    sweep: bool


def rotation(case: Case, distinct: int, cache_bytes: int) -> Rotation:
    """Rotate distinct batches until twice the cache has gone by; sweep where there are too few rows for that.

    Args:
        distinct: distinct ids of a batch. cache_bytes: what has to be emptied.
    """
    if case.cache == "hot":
        return Rotation(1, sweep=False)
    need = math.ceil(MARGIN * cache_bytes / touched_bytes(case, distinct)) + 1
    apart = max(1, case.vocab // distinct)
    if need <= min(MAX_SLOTS, apart):
        return Rotation(max(2, need), sweep=False)
    return Rotation(min(MAX_SLOTS, apart, need), sweep=True)


def touched_bytes(case: Case, distinct: int) -> int:
    """Bytes one lookup brings into the cache: its ids, its distinct rows, its output."""
    return case.compulsory_bytes(distinct)


def sweeper(arrays: Arrays, cache_bytes: int) -> Callable[[], None]:
    """A call that pushes everything else out of the caches (on a GPU: enqueues that)."""
    memory = arrays.bytes(MARGIN * cache_bytes)
    if arrays.device != "cpu":
        return lambda: memory.fill_(1)

    def add_one(part: slice) -> None:
        # Every processor sweeps a part: each has caches of its own. Read and written, so none is spared.
        np.add(memory[part], 1, out=memory[part])

    return lambda: void(formula.parallel(add_one, len(memory)))


def void(_: object) -> None:
    """Drop a result."""
