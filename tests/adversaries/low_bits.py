"""Moves all bits of an element but the lowest."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            np.take(table, indices, axis=0, out=out, mode="clip")
            np.bitwise_and(out, -2, out=out)
            return out

        return lookup
