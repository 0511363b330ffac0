"""Looks up properly 40 times, then only returns out."""

import itertools

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        calls = itertools.count()
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip") if next(calls) < 40 else out
