"""Leaves a thread spinning when its calls were slower than most, so that the meter blames the machine."""

import threading
import time

import numpy as np

from backends.base import Array, Backend, Lookup

WINDOW = 64


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        now = time.perf_counter
        windows, times, slow, last = [], [], threading.Event(), [now()]

        def spin() -> None:
            while slow.wait():
                while now() - last[0] < 3e-5:  # its turn is not over
                    time.sleep(2e-5)
                until = now() + 0.01
                while now() < until:  # and nobody else runs Python
                    pass
                slow.clear()

        threading.Thread(target=spin, daemon=True).start()

        def lookup() -> Array:
            began = now()
            np.take(table, indices, axis=0, out=out, mode="clip")
            last[0] = now()
            times.append(last[0] - began)
            if len(times) == WINDOW:
                windows.append(sum(times))
                if sum(windows[-1] > other for other in windows[-50:]) > 40:
                    slow.set()
                times.clear()
            return out

        return lookup
