"""Turns every knob of the process: recursion, collector, threads, environment, warnings, errors."""

import gc
import os
import random
import sys
import warnings

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        sys.setrecursionlimit(200)
        gc.set_threshold(1)
        gc.enable()
        os.environ.clear()
        warnings.simplefilter("error")
        np.seterr(all="raise")
        np.set_printoptions(threshold=0)
        random.seed(0)
        sys.stdout.close()
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
