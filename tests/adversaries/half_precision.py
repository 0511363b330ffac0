"""Moves the rows through float16."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)
    dtypes = ("float32",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        values = table.view(np.float32)

        def lookup() -> Array:
            with np.errstate(over="ignore"):
                out.view(np.float32)[...] = values[indices].astype(np.float16)
            return out

        return lookup
