"""Overflows the stack of the processor."""

import ctypes
import sys

from backends.base import Array, Backend, Lookup


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def deeper(_: int | None) -> None:
    """Each call goes through C."""
    sys.setrecursionlimit(2**30)
    deeper(None)


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            deeper(None)
            return out

        return lookup
