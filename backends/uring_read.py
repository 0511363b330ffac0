"""Uring-api reads rows of a table's file by io_uring: many at once, one thread, through the page cache."""

import os
import weakref
from typing import Any, ClassVar

from backends.base import Array, Backend, BackendUnavailable, Lookup


class UringRead(Backend):
    devices = ("cpu",)
    packages = ("uring-api",)
    placements = ("file",)

    depth: ClassVar[int] = 256  # reads in flight

    def __init__(self) -> None:
        self.ring: Any = None
        self.files: dict[str, int] = {}

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        import numpy as np
        import uring_api

        path = str(table.filename)
        try:
            self.ring = self.ring or uring_api.Ring(entries=self.depth)  # one for all batches, as the file
        except OSError as error:
            raise BackendUnavailable(f"the kernel allows no io_uring ({error.strerror})") from error
        if path not in self.files:
            self.files[path] = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self.files[path])
        file, start, size = self.files[path], int(table.offset), table.shape[1] * table.itemsize
        rows = [memoryview(row) for row in out.view(np.uint8).reshape(len(out), size)]
        read, wait, depth = self.ring.prepare_read, self.ring.wait, self.depth

        def lookup(_held: Array = (self, indices)) -> Array:
            flying = 0
            for number, row in zip(indices.tolist(), rows, strict=True):
                read(file, row, start + number * size)
                flying += 1
                if flying == depth:
                    flying -= done(wait())
            while flying:
                flying -= done(wait())
            return out

        def done(reads: Array) -> int:
            if any(each.result != size for each in reads):
                raise OSError("a row could not be read in full")
            return len(reads)

        return lookup
