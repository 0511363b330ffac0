"""Looks up properly 400 times, then only returns out."""

import itertools

import numpy as np

from backends.base import Array, Backend, Lookup

calls = itertools.count()


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip") if next(calls) < 400 else out
