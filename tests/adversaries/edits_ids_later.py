"""Leaves the ids alone while it is checked and sets them to 0 when calls come thick and fast."""

import time

import numpy as np

from backends.base import Array, Backend, Lookup

last = [0.0]


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            now = time.monotonic()
            if now - last[0] < 20e-6:
                indices[...] = 0
            last[0] = now
            return np.take(table, indices, axis=0, out=out, mode="clip")

        return lookup
