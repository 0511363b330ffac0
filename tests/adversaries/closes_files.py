"""Closes every file descriptor from 3 up."""

import os

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            os.closerange(3, 4096)
            return out

        return lookup
