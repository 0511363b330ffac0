"""Speed of the processor over some seconds, by the meter: how often it is full, and how slow it is else."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter

from suite.doctor.finding import UNREPORTED, Finding
from suite.records.record import Fact
from suite.stats import FULL_SPEED_TOLERANCE, low_quantile

FULL_SHARE = 0.95
"""From this share of readings at full speed on, the rest are interrupts and the like."""


def watch(for_s: float, clock: Callable[[], float] = perf_counter) -> list[float]:
    """What the meter reads on one thread, in seconds, again and again; empty without a meter."""
    from suite.engine.meter import meter_of

    meter = meter_of(False)
    readings: list[float] = []
    if meter is not None:
        end = clock() + for_s
        while clock() < end:
            readings.append(meter.read())
    return readings


def speed(cpu: dict[str, Fact], readings: Sequence[float], for_s: float) -> Finding:
    """Whether the processor runs at one speed.

    Args:
        cpu: facts as ``cpu.cpu_facts`` gives them. readings: as ``watch`` gives them in ``for_s``.
    """
    if not readings:
        return Finding("speed", f"{UNREPORTED}: its meter needs Numba's compiler", "", "unknown")
    most = low_quantile(readings) * (1 + FULL_SPEED_TOLERANCE)
    slow = [reading for reading in readings if reading > most]
    share = 1 - len(slow) / len(readings)
    state = f"full for {share:.0%} of {for_s:.0f} s"
    if share >= FULL_SHARE:
        return Finding("speed", state, "", "ok")
    state += f", else {statistics.median(slow) / low_quantile(readings):.2f} times slower"
    why = "rounds at less than full speed do not count, so that a run says less in the same time"
    return Finding("speed", state, _advice(cpu), "warn", why)


def _advice(cpu: dict[str, Fact]) -> str:
    """What makes it one speed, by what most likely makes it two."""
    if cpu.get("hypervisor") is True:  # another machine's work on the core's other thread, beyond our reach
        return "run on a dedicated host, or at another time with: python -m suite.run --passes 6"
    if cpu.get("smt") is True:
        return "echo off | sudo tee /sys/devices/system/cpu/smt/control"
    return "stop what else runs, or pin the run to idle cores: taskset -c 0 python -m suite.run"
