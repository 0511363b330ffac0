"""Returns the right rows, and has a thread write them a second time a little later."""

import threading

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            np.take(table, indices, axis=0, out=out, mode="clip")
            again = out.copy()
            threading.Timer(0.003, lambda: np.copyto(out, again)).start()
            return out

        return lookup
