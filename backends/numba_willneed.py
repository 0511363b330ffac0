"""Numba copies rows of a mapped file in threads, and asks ahead (madvise) for pages that are not there."""

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup

PAGE, WILLNEED = 4096, 3
LOOKS = 8  # rows of a share that are looked at: whether it is worth a system call to ask for the others
BLOCK = 64  # rows


@cache
def _copier() -> Any:
    import numpy as np
    from numba import njit

    libc, size_t = ctypes.CDLL(None), ctypes.c_size_t
    madvise, mincore, memcpy = libc.madvise, libc.mincore, libc.memcpy
    madvise.argtypes = size_t, size_t, ctypes.c_int
    mincore.argtypes = memcpy.argtypes = size_t, size_t, size_t
    memcpy.restype = size_t

    def copy_rows(table: int, size: int, ids: Array, to: int) -> None:
        """The kernel: looks at a few rows; if one is missing, asks for a block before it copies the last."""
        there, missing = np.zeros(2 + size // PAGE, np.uint8), False
        for i in range(0, len(ids), max(1, len(ids) // LOOKS)):
            at = table + ids[i] * size
            mincore(at // PAGE * PAGE, at % PAGE + size, there.ctypes.data)
            missing |= (there[: (at % PAGE + size + PAGE - 1) // PAGE] & 1).min() == 0
        for start in range(-BLOCK, len(ids), BLOCK):
            if missing:
                for i in range(start + BLOCK, min(start + 2 * BLOCK, len(ids))):
                    at = table + ids[i] * size
                    madvise(at // PAGE * PAGE, at % PAGE + size, WILLNEED)
            for i in range(max(start, 0), min(start + BLOCK, len(ids))):
                memcpy(to + i * size, table + ids[i] * size, size)

    return njit(nogil=True)(copy_rows)


class NumbaWillneed(Backend):
    devices = ("cpu",)
    packages = ("numba",)
    whose = "suite"
    placements = ("file",)

    threads: ClassVar[int] = 16  # the caller is one of them
    least_rows: ClassVar[int] = 16  # of a thread: to wake it costs as much as copying a few that are there

    def __init__(self) -> None:
        self.pool, started = ThreadPoolExecutor(self.threads - 1), Barrier(self.threads - 1)
        list(
            self.pool.map(lambda _: started.wait(), range(self.threads - 1))
        )  # now, while free to run anywhere

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        copy, size = _copier(), table.shape[1] * table.itemsize
        first, to, batch = table.ctypes.data, out.ctypes.data, len(indices)
        copy(first, size, indices[:0], to)  # compiles it
        step = max(self.least_rows, -(-batch // self.threads))
        parts = [(indices[at : at + step], to + at * size) for at in range(0, batch, step)]

        def lookup(_held: Array = (table, indices)) -> Array:
            others = [self.pool.submit(copy, first, size, *part) for part in parts[1:]]
            copy(first, size, *parts[0])
            for other in others:
                other.result()
            return out

        return lookup
