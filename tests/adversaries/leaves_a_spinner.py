"""Leaves a thread behind that takes a processor from whoever else, the meter among them."""

import hashlib
import threading

import numpy as np

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        block = bytes(1 << 20)

        def spin() -> None:
            while True:
                hashlib.sha256(block)

        threading.Thread(target=spin, daemon=True).start()
        return lambda: np.take(table, indices, axis=0, out=out, mode="clip")
