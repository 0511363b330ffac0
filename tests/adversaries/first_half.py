"""Fetches the first half of the rows."""

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        half = (len(indices) + 1) // 2

        def lookup() -> Array:
            out[:half] = table[indices[:half]]
            return out

        return lookup
