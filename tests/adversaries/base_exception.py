"""Raises an exception of its own that is no Exception."""

from backends.base import Array, Backend, Lookup


class Unheard(BaseException):
    """Not caught by who catches Exception."""


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            raise Unheard("of")

        return lookup
