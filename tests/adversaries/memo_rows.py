"""Keeps every row it has seen, by its id: a cache in front of the table."""

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        kept: dict[int, Array] = {}

        def lookup() -> Array:
            for place, row in enumerate(indices.tolist()):
                if row not in kept:
                    kept[row] = table[row].copy()
                out[place] = kept[row]
            return out

        return lookup
