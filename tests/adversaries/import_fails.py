"""Raises when it is imported."""

from backends.base import Array, Backend, Lookup

raise ImportError("of something that is not there")


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        raise NotImplementedError
