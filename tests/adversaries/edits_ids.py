"""Sorts the ids in place, then looks them up."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            indices.sort()
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
