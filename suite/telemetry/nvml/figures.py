"""Figures of one GPU as NVML reports them, and the arithmetic between two readings; makes no calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from suite.telemetry.reading import Reading, both

T = TypeVar("T", int, float)

SHORTEST_ENERGY_S = 0.3
"""The driver refreshes its energy and throttle counters about every 0.1 s."""
SHORTEST_POWER_S = 1.0
"""NVML's power is an average over 1 s on Ampere (GA100 excepted) and newer."""


@dataclass(frozen=True, slots=True)
class Process:
    """A compute process on the GPU; in a container its pid may be the host's."""

    pid: int
    used_bytes: Reading[int]


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the device, for all processes.

    Version 2 of NVML's structure has ``reserved`` apart; sources disagree whether ``used`` then contains it.
    So compare differences, and only between readings of one ``struct_version``.
    """

    struct_version: Reading[int]
    total_bytes: Reading[int]
    used_bytes: Reading[int]
    free_bytes: Reading[int]
    reserved_bytes: Reading[int]
    processes: Reading[tuple[Process, ...]]


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters since the driver was loaded, and gauges, at one time.

    Attributes:
        at_s: monotonic time at which the energy was read.
        throttled_ns: time for which the clocks were held down, by cause.
        power_w: NVML's own average over about the last second.
    """

    at_s: float
    energy_j: Reading[float]
    throttled_ns: dict[str, Reading[int]]
    temperature_c: Reading[int]
    memory_temperature_c: Reading[int]
    sm_clock_hz: Reading[int]
    memory_clock_hz: Reading[int]
    power_w: Reading[float]


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two readings of the counters: seconds passed, and seconds of throttling by cause."""

    elapsed_s: float
    throttled_s: dict[str, Reading[float]]


@dataclass(frozen=True, slots=True)
class Sustained:
    """Figures of a sustained phase of lookups; fractions are of the device's maximum, 0 to 1."""

    lookups: int
    elapsed_s: float
    energy_j: Reading[float]
    joules_per_lookup: Reading[float]
    mean_power_w: Reading[float]
    dram_utilisation_fraction: Reading[float]
    dram_bytes_per_s: Reading[float]
    sm_utilisation_fraction: Reading[float]
    sm_occupancy_fraction: Reading[float]
    pcie_tx_bytes_per_s: Reading[float]
    pcie_rx_bytes_per_s: Reading[float]


def process(info: Any) -> Process:
    """A process as NVML lists it."""
    used = info.usedGpuMemory
    return Process(info.pid, Reading(None, "not available") if used is None else Reading(used))


def difference(before: Counters, after: Counters) -> Difference:
    """What the counters gained; no value where the window is too short for a figure."""
    elapsed_s = after.at_s - before.at_s
    return Difference(
        elapsed_s,
        {
            cause: _gained(reading, after.throttled_ns[cause], elapsed_s).then(lambda ns: ns / 1e9)
            for cause, reading in before.throttled_ns.items()
        },
    )


def spent(before_j: Reading[float], after_j: Reading[float], elapsed_s: float) -> Reading[float]:
    """Energy between two readings of the counter, to a millijoule."""
    energy = _gained(before_j, after_j, elapsed_s).then(lambda joules: round(joules, 3))
    # An idle GPU draws power too.
    return Reading(None, "the energy counter stood still") if energy.value == 0 else energy


def mean_power(energy_j: Reading[float], elapsed_s: float) -> Reading[float]:
    """Mean power over a window long enough for the counter's steps not to matter."""
    return _long_enough(energy_j.then(lambda joules: joules / elapsed_s), elapsed_s, SHORTEST_POWER_S)


def each(total: Reading[float], count: int) -> Reading[float]:
    """A total divided by the number of lookups."""
    if total.value is not None and count == 0:
        return Reading(None, "no lookup was counted")
    return total.then(lambda value: value / count)


def _gained(before: Reading[T], after: Reading[T], elapsed_s: float) -> Reading[T]:
    gain = both(before, after, lambda first, last: last - first)
    if gain.value is not None and gain.value < 0:
        return Reading(None, "the counter went back: driver reloaded or GPU reset")
    return _long_enough(gain, elapsed_s, SHORTEST_ENERGY_S)


def _long_enough(reading: Reading[T], elapsed_s: float, shortest_s: float) -> Reading[T]:
    if reading.value is not None and elapsed_s < shortest_s:
        return Reading(None, f"too short: {elapsed_s:.3f} s of at least {shortest_s:g} s")
    return reading
