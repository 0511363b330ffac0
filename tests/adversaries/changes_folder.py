"""Changes the working folder."""

import os

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        os.chdir("/")
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
