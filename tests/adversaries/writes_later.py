"""Leaves the rows to a thread that writes them after the call has returned."""

import threading

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            ids = indices.copy()
            threading.Timer(0.003, lambda: np.take(table, ids, axis=0, out=out, mode="clip")).start()
            return out

        return lookup
