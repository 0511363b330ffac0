"""Segments: the places of a batch sorted by their ids, and how threads of a kernel share them."""

from __future__ import annotations

from functools import cache
from typing import Any

from backends.compiled.instructions import LINE, prefetcher

DIGIT = 11
"""Bits that one pass of the sort takes."""
PARALLEL_ELEMENTS = 1 << 15
"""From so many on more threads than one are worth waking."""
AHEAD = 16
"""Rows ahead of which others are asked for."""

Array = Any


class Scratch:
    """Memory that the segments of a batch need.

    Attributes:
        order, spare: the places, sorted by their ids at last. starts: of each segment in that order, and one
            more after the last. ids: the id of each segment. counts: of a digit.
    """

    def __init__(self, batch: int, vocab: int) -> None:
        import numpy as np

        self.bits = max(1, (vocab - 1).bit_length())
        self.order, self.spare = np.empty(batch, np.uint32), np.empty(batch, np.uint32)
        self.starts, self.ids = np.empty(batch + 1, np.int64), np.empty(batch, np.int64)
        self.counts = np.empty(1 << DIGIT, np.int64)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What ``sorter()`` takes after the ids."""
        return self.bits, self.order, self.spare, self.starts, self.ids, self.counts


@cache
def sorter() -> Any:
    """``sort(ids, *scratch.arguments)``: how many segments there are. A stable radix sort, on one thread."""
    from numba import njit

    def sort(
        ids: Array, bits: int, order: Array, spare: Array, starts: Array, distinct: Array, counts: Array
    ) -> int:
        """The kernel: a pass for each digit of the ids, an even number so that ``order`` has the last."""
        for i in range(len(ids)):
            order[i] = i
        source, target, shift = order, spare, 0
        while shift < bits or (shift // DIGIT) % 2:
            counts[:] = 0
            for i in range(len(ids)):
                counts[(ids[i] >> shift) & (len(counts) - 1)] += 1
            before = 0
            for digit in range(len(counts)):
                before, counts[digit] = before + counts[digit], before
            for i in range(len(ids)):
                digit = (ids[source[i]] >> shift) & (len(counts) - 1)
                target[counts[digit]] = source[i]
                counts[digit] += 1
            source, target, shift = target, source, shift + DIGIT
        found = 0
        for i in range(len(ids)):
            if i == 0 or ids[order[i]] != ids[order[i - 1]]:
                starts[found] = i
                distinct[found] = ids[order[i]]
                found += 1
        starts[found] = len(ids)
        return found

    return njit(nogil=True)(sort)


@cache
def asker() -> Any:
    """``ask(array, row)`` for a row of an array of float32 that is needed soon."""
    from numba import njit

    prefetch = prefetcher(2)

    def ask(array: Array, row: int) -> None:
        """The kernel: prefetches its lines."""
        size = 4 * array.shape[1]
        first = array.ctypes.data + row * size
        for done in range(0, size, LINE):
            prefetch(first + done)

    return njit(nogil=True)(ask)


@cache
def share() -> Any:
    """``between(starts, found, t, threads)``: the first segment in a thread's share of the places."""
    import numpy as np
    from numba import njit

    def between(starts: Array, found: int, t: int, threads: int) -> int:
        """The kernel: the first that begins there; of one thread more than there are, how many there are."""
        return int(np.searchsorted(starts[:found], t * starts[found] // threads))

    return njit(nogil=True)(between)


def threaded(part: Any) -> Any:
    """``run(threads, …)`` calls ``part(t, threads, …)``, a compiled function, for each ``t`` in a thread.

    One thread is the calling one: to wake others takes longer than a small batch.
    """
    from numba import njit, prange

    def on_all(threads: int, found: int, gradients: Array, scratch: Any, out: Any) -> None:
        for t in prange(threads):
            part(t, threads, found, gradients, scratch, out)

    every = njit(parallel=True, nogil=True)(on_all)

    def run(threads: int, *arguments: Any) -> None:
        if threads == 1:
            part(0, 1, *arguments)
        else:
            every(threads, *arguments)

    return run
