"""The sustained phase: lookups alone for a while, in bursts, so that counters have something to count."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from suite.telemetry.reading import Reading

T = TypeVar("T")
BURST_S = 0.01
LEAST_BUSY = 0.8
"""The share of the phase in which the device must have worked: a device that waits draws its own power."""
OFF = "turned off"
PER_ENERGY = ("joules_per_lookup", "joules_per_gb", "mean_power_w")
"""Figures that follow from the energy of the phase."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a sustained phase is filled with.

    Attributes:
        payload_bytes: declared bytes of one lookup; for the copy they are exact, so it validates counters.
        calls: done in turn. lookups: how many each of them does.
        wait: returns once the rows of all lookups are there.
        device_s: what a lookup takes of a GPU; null where that is unknown.
    """

    payload_bytes: int
    calls: Sequence[Callable[[], object]]
    wait: Callable[[], None]
    lookups: int = 1
    device_s: float | None = None

    def busy(self, lookups: int, seconds: float) -> Reading[float]:
        """The share of a phase in which so many lookups kept the device at work."""
        if self.device_s is None:
            return Reading(None, "only the host times it, so how long the device works is unknown")
        return Reading(min(1.0, lookups * self.device_s / seconds))


def of_work(busy: Reading[float], figure: Reading[T]) -> Reading[T]:
    """A figure of the phase, or why it would be one of waiting."""
    if busy.value is None:
        return Reading(None, busy.reason)
    if busy.value < LEAST_BUSY:
        return Reading(None, f"the device worked for {busy.value:.0%} of the phase, not {LEAST_BUSY:.0%}")
    return figure


def burst(work: Work) -> Callable[[], int]:
    """A call that does about 10 ms of lookups, waits for their rows, and returns their number."""
    state = {"count": 1, "cursor": 0}

    def run() -> int:
        start_s, count = time.perf_counter(), state["count"]
        for _ in range(count):
            work.calls[state["cursor"]]()
            state["cursor"] = (state["cursor"] + 1) % len(work.calls)
        work.wait()
        if time.perf_counter() - start_s < BURST_S / 2:
            state["count"] = min(4 * count, 4096)
        return count * work.lookups

    return run
