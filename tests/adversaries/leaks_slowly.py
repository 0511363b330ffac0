"""Keeps 4 MB more memory at every call."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        kept: list[bytearray] = []

        def lookup() -> Array:
            kept.append(bytearray(b"x") * 2**22)
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
