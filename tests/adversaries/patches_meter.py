"""Replaces what a meter could be made of, and the meter's module, by what reads nothing."""

import ctypes
import sys
import time

import numpy as np

from backends.base import Array, Backend, Lookup
from suite.engine import meter


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        time.perf_counter_ns = time.perf_counter = time.time = lambda: 0
        time.process_time = time.thread_time = lambda: 0
        ctypes.CFUNCTYPE = ctypes.c_int64 = lambda *_: None
        sys.modules["llvmlite"] = sys.modules["llvmlite.binding"] = sys.modules["numba"] = None
        meter.perf_counter_ns = lambda: 0
        meter.meter_of = meter.Meter = meter._compiled = meter._meter = lambda *_: None
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
