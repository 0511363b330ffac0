"""Replaces the check itself. A backend is code that the user trusts: this one gets through."""

from backends.base import Array, Backend, Lookup
from suite.engine import check


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        check.check = lambda *_: (None, False)
        check.spot_checked = lambda *_: None
        return lambda: out
