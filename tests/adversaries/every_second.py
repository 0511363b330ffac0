"""Skips every second call as long as calls come thick and fast."""

import time

import numpy as np

from backends.base import Array, Backend, Lookup

last, odd = [0.0], [False]


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            now = time.monotonic()
            pause, last[0], odd[0] = now - last[0], now, not odd[0]
            return np.take(table, indices, axis=0, out=out, mode="clip") if pause > 100e-6 or odd[0] else out

        return lookup
