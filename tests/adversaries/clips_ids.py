"""Looks up in the upper half of the table only: it fits the cache."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        top = len(table) // 2
        return lambda: np.take(table[:top], indices, axis=0, out=out, mode="clip")
