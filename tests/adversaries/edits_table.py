"""Writes to the table."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            table[0, 0] = 1
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
