"""Waits in prepare for a lock that nobody gives back."""

import threading

from backends.base import Array, Backend, Lookup


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
        raise AssertionError
