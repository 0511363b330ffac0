"""Returns the same buffer of its own from every call."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        own = np.empty_like(out)
        return lambda: np.take(table, indices, axis=0, out=own, mode="clip")
