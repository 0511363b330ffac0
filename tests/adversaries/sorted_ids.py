"""Looks the ids up in order of size, which is kinder to the caches."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: np.take(table, np.sort(indices), axis=0, out=out, mode="clip")
