"""Keeps results by the content of the ids and never reads the table again."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        kept: dict[bytes, Array] = {}

        def lookup() -> Array:
            key = indices.tobytes()
            if key not in kept:
                kept[key] = table[indices]
            np.copyto(out, kept[key])
            return out

        return lookup
