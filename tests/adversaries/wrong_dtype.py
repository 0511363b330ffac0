"""Returns the rows as float64."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)
    dtypes = ("float32",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: table[indices].view(np.float32).astype(np.float64)
