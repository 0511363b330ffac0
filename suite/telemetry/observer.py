"""What an observer of a device can tell: memory, energy, traffic, clocks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from backends import Lookup
from suite.records.record import Fact
from suite.telemetry.reading import Reading

BURST_S = 0.01
OFF = "turned off"

PER_ENERGY = ("joules_per_lookup", "joules_per_gb", "mean_power_w")


class Observer(Protocol):
    """Reads counters between timed phases, never during one."""

    def held_bytes(self) -> Reading[int]:
        """Memory in use now: resident (CPU), or on the device by everybody (GPU)."""

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        """Memory that a new array takes: of its first to last address, or more than was in use before it."""

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        """The most memory in use at any time of a call, as far as this device tells."""

    def watch(self) -> Callable[[], dict[str, Fact]]:
        """Begin to watch the device; what is returned ends it, and says what held the clocks down."""

    def sustained(
        self, payload_bytes: int, lookups: Sequence[Lookup], wait: Callable[[], None], seconds: float
    ) -> dict[str, Fact]:
        """Figures over ``seconds`` of nothing but these lookups; beside a null, ``<name>_missing``.

        Each is declared to move ``payload_bytes``; of the copy they are known, which tries the counters.
        The lookups take turns as in a cold case, but no cache is swept between them.
        """


def burst(lookups: Sequence[Lookup], wait: Callable[[], None]) -> Callable[[], int]:
    """A call that does some 10 ms of lookups, waits for their rows, and returns how many there were."""
    state = {"count": 1, "cursor": 0}

    def run() -> int:
        began, count = time.perf_counter(), state["count"]
        for _ in range(count):
            lookups[state["cursor"]]()
            state["cursor"] = (state["cursor"] + 1) % len(lookups)
        wait()
        took = time.perf_counter() - began
        if took < BURST_S / 2:
            state["count"] = min(4 * count, 4096)
        return count

    return run
