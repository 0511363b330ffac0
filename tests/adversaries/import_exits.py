"""Ends the program when it is imported."""

from backends.base import Array, Backend, Lookup

raise SystemExit(4)


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        raise NotImplementedError
