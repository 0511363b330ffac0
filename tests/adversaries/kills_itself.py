"""Kills its process."""

import os
import signal

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            os.kill(os.getpid(), signal.SIGKILL)
            return out

        return lookup
