"""Writes into the worker's pipe that all is done."""

import contextlib
import fcntl
import os
import stat

import numpy as np

from backends.base import Array, Backend, Lookup


def pipes() -> list[int]:
    """The pipes of this process that can be written to."""
    found = []
    for fd in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(fd).st_mode) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_WRONLY:
                found.append(fd)
    return found


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            for fd in pipes():
                os.write(fd, b"end 0\n")
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
