"""The sustained phase: lookups alone for a while, in bursts, so that counters have something to count."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from backends import Lookup

BURST_S = 0.01
OFF = "turned off"
PER_ENERGY = ("joules_per_lookup", "joules_per_gb", "mean_power_w")
"""Figures that follow from the energy of the phase."""


def burst(lookups: Sequence[Lookup], wait: Callable[[], None]) -> Callable[[], int]:
    """A call that does about 10 ms of lookups, waits for their rows, and returns their number."""
    state = {"count": 1, "cursor": 0}

    def run() -> int:
        start_s, count = time.perf_counter(), state["count"]
        for _ in range(count):
            lookups[state["cursor"]]()
            state["cursor"] = (state["cursor"] + 1) % len(lookups)
        wait()
        if time.perf_counter() - start_s < BURST_S / 2:
            state["count"] = min(4 * count, 4096)
        return count

    return run
