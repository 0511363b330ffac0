"""Overwrites a row behind the protection when calls come thick and fast."""

import ctypes
import mmap
import time

import numpy as np

from backends.base import Array, Backend, Lookup

last = [0.0]


def overwrite(row: Array) -> None:
    """Lift the protection of its pages, write, and put the protection back."""
    start = row.ctypes.data & -mmap.PAGESIZE
    size = row.ctypes.data + row.nbytes - start
    mprotect = ctypes.CDLL(None).mprotect
    mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE)
    row[...] = 1
    mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.PROT_READ)


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            now = time.monotonic()
            if now - last[0] < 20e-6:
                overwrite(table[500])
            last[0] = now
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
