"""Fetches a row for the first of equal ids and leaves the others alone."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            ids, places = np.unique(indices, return_index=True)
            out[places] = table[ids]
            return out

        return lookup
