"""Ends the process with code 0, as if all were well."""

import os

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            os._exit(0)
            return out

        return lookup
