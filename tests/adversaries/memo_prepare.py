"""Looks up once, in prepare, and copies that out ever after."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        rows = table[indices]

        def lookup() -> Array:
            np.copyto(out, rows)
            return out

        return lookup
