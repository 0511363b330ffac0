"""Sleeps for ever and ignores requests to end."""

import signal
import time

from backends.base import Array, Backend, Lookup


def deaf() -> None:
    """Nothing but KILL ends it."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


class Adversary(Backend):
    devices = ("cpu",)

    def prepare(self, table: Array, indices: Array, out: Array) -> Lookup:
        def lookup() -> Array:
            deaf()
            return out

        return lookup
