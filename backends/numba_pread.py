"""Numba calls pread in threads of its own: rows of a table's file, one by one, through the page cache."""

import ctypes
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import Any, ClassVar

from backends.base import Array, Backend, Lookup


@cache
def _reader() -> Any:
    from numba import njit

    pread = ctypes.CDLL(None).pread64
    pread.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int64)
    pread.restype = ctypes.c_ssize_t

    def read_rows(file: int, start: int, size: int, ids: Array, to: int) -> int:
        """The kernel: one system call a row; how many rows came in full before one did not."""
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

    threads: ClassVar[int] = 16  # the caller is one of them; see python -m tests.tools.placement
    least_rows: ClassVar[int] = 16  # of a thread: to wake it costs as much as reading a few that are cached

    def __init__(self) -> None:
        self.pool, started = ThreadPoolExecutor(self.threads - 1), Barrier(self.threads - 1)
        list(
            self.pool.map(lambda _: started.wait(), range(self.threads - 1))
        )  # now, while free to run anywhere
        self.files: dict[str, int] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        read, size, path = _reader(), table.shape[1] * table.itemsize, str(table.filename)
        if path not in self.files:  # one for all batches: descriptors are few
            self.files[path] = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self.files[path])
        file, start, to, batch = self.files[path], int(table.offset), out.ctypes.data, len(indices)
        read(file, start, size, indices[:0], to)  # compiles it
        step = max(self.least_rows, -(-batch // self.threads))
        parts = [(indices[at : at + step], to + at * size) for at in range(0, batch, step)]

        def lookup() -> Array:
            others = [self.pool.submit(read, file, start, size, *part) for part in parts[1:]]
            counts = [read(file, start, size, *parts[0]), *(other.result() for other in others)]
            if sum(counts) != batch:
                raise OSError("the file is shorter than its table")
            return out

        return lookup
