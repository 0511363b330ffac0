"""Raises with half a character and a line separator in its message."""

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            raise ValueError("odd \udcff, \u2028end 0\n")

        return lookup
