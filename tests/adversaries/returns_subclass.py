"""Returns a masked array of the right rows: no plain array."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: np.ma.asarray(table[indices])
