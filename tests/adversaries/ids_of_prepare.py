"""Copies the ids in prepare and never reads them again."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        ids = indices.copy()
        return lambda: np.take(table, ids, axis=0, out=out, mode="clip")
