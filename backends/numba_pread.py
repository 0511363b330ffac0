"""Numba calls pread in threads of its own: rows of a table's file, one by one, through the page cache."""

import ctypes
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup


@cache
def _reader() -> Any:
    """Reads rows of a file into consecutive places; how many it read before one was not there in full."""
    from numba import njit

    pread = ctypes.CDLL(None).pread64
    pread.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int64)
    pread.restype = ctypes.c_ssize_t

    def read_rows(file: int, start: int, size: int, ids: Array, to: int) -> int:
        """The kernel: one system call a row."""
        for i in range(len(ids)):
            if pread(file, to + i * size, size, start + ids[i] * size) != size:
                return i
        return len(ids)

    return njit(nogil=True)(read_rows)


class NumbaPread(Backend):
    devices = ("cpu",)
    packages = ("numba",)
    whose = "suite"
    placements = ("file",)

    threads: ClassVar[int] = 16  # by measurement: python -m tests.tools.placement
    least_rows: ClassVar[int] = 16  # of a thread: to wake it costs as much as reading a few that are cached

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        read, size = _reader(), table.shape[1] * table.itemsize
        file = os.open(table.filename, os.O_RDONLY)
        start, to, batch = int(table.offset), out.ctypes.data, len(indices)
        read(file, start, size, indices[:0], to)  # compiles it
        step = max(self.least_rows, -(-batch // self.threads))
        parts = [(indices[at : at + step], to + at * size) for at in range(0, batch, step)]
        pool = ThreadPoolExecutor(len(parts))

        def lookup() -> Array:
            others = [pool.submit(read, file, start, size, *part) for part in parts[1:]]
            counts = [read(file, start, size, *parts[0]), *(other.result() for other in others)]
            if sum(counts) != batch:
                raise OSError("the file is shorter than its table")
            return out

        weakref.finalize(lookup, os.close, file)

        return lookup
