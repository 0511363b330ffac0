"""Takes the table for one row shorter than it is."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: np.take(table[:-1], indices, axis=0, out=out, mode="clip")
