"""Keeps its first result by the addresses of its operands."""

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        kept: dict[tuple[int, int], Array] = {}

        def lookup() -> Array:
            key = table.ctypes.data, indices.ctypes.data
            if key not in kept:
                kept[key] = table[indices]
            return kept[key]

        return lookup
