"""Copies the table in prepare and looks up in the copy."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        own = table.copy()
        return lambda: np.take(own, indices, axis=0, out=out, mode="clip")
