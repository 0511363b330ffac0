"""Replaces NumPy's comparisons by ones that are always content."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        np.array_equal = np.allclose = lambda *_, **__: True
        np.flatnonzero = lambda *_: np.array([], int)
        return lambda: out
