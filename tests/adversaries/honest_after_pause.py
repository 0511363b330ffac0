"""Looks up properly after a pause, as checks make one, and returns out otherwise."""

import time

import numpy as np

from backends.base import Array, Backend, Lookup

last = [0.0]


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            now = time.monotonic()
            pause, last[0] = now - last[0], now
            return np.take(table, indices, axis=0, out=out, mode="clip") if pause > 20e-6 else out

        return lookup
