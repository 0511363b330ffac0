"""Writes one byte before its output."""

import ctypes

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            ctypes.memset(out.ctypes.data - 1, 0, 1)
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
