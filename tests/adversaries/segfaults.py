"""Reads from address 8."""

import ctypes

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            ctypes.string_at(8)
            return out

        return lookup
