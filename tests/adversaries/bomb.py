"""Looks up properly and has a timer kill the process while another has its turn."""

import os
import threading

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        threading.Timer(0.35, lambda: os._exit(7)).start()
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
