"""Does nothing while the ids are those of the call before: the rows are still in out."""

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        seen = np.full_like(indices, -1)

        def lookup() -> Array:
            if not np.array_equal(seen, indices):
                seen[...] = indices
                np.take(table, indices, axis=0, out=out, mode="clip")
            return out

        return lookup
