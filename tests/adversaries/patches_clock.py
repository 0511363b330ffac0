"""Replaces the clock of the process by one that stands still."""

import time

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        time.perf_counter_ns = time.perf_counter = lambda: 0
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
