"""Observer of an NVIDIA GPU: NVML's figures under the field names of a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suite.records.figures import CASE, CASE_THROTTLED, CAUSES, THROTTLED
from suite.records.record import Fact
from suite.telemetry.nvml.figures import Counters, difference
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading, both, facts
from suite.telemetry.sustained import OFF, PER_ENERGY, Work, burst, of_work

GIVEN_BACK = "memory in use grew by less than the table: other processes freed some meanwhile"

_NOT_STORED = ("uuid", "gpu_uuid", "pci_bus_id", "name")
"""What would identify one GPU; the name is CUDA's."""
_GAUGES = ("temperature_c", "memory_temperature_c", "sm_clock_hz", "memory_clock_hz")
_OF_WORK = ("energy_j", *PER_ENERGY, "dram_bytes_per_s", "dram_bytes_per_lookup", "dram_utilisation_fraction")
"""Of a device that waits they say nothing of lookups."""
_OF_A_PHASE = (
    *_OF_WORK,
    *(f"{gauge}_{when}" for gauge in _GAUGES for when in ("before", "after")),
)


class GpuObserver:
    """What NVML reports of one GPU."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    @classmethod
    def open(cls, uuid: str, limit_s: float) -> GpuObserver:
        """Observe the GPU with this UUID; an index can mean another GPU to NVML than to CUDA."""
        return cls(Gpu.open(uuid, limit_s=limit_s))

    def held_bytes(self) -> Reading[int]:
        return self.gpu.memory().used_bytes

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        # Of the whole device, so it includes what other processes allocate meanwhile.
        taken = both(before, self.held_bytes(), lambda a, b: b - a)
        too_little = taken.value is not None and taken.value < span[1] - span[0]
        return Reading(None, GIVEN_BACK) if too_little else taken

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        # NVML has no high-water mark. Memory pools free nothing at once, so what is in use after is the peak.
        call()
        return self.held_bytes()

    def watch(self) -> Callable[[], dict[str, Fact]]:
        before = self.gpu.counters()

        def held_down() -> dict[str, Fact]:
            after = self.gpu.counters()
            gauges = _gauges(before, "before") | _gauges(after, "after")
            of_the_case = {f"{CASE}{name}": gauge for name, gauge in gauges.items()}
            return facts({**_throttled(CASE_THROTTLED, before, after), **of_the_case})

        return held_down

    def sustained(self, work: Work, seconds: float) -> dict[str, Fact]:
        if seconds <= 0:
            return facts(dict.fromkeys(_OF_A_PHASE, Reading(None, OFF)))
        before = self.gpu.counters()
        seen = self.gpu.sustained(burst(work), seconds)
        after = self.gpu.counters()
        count, elapsed = seen.lookups, seen.elapsed_s
        busy = work.busy(count, elapsed)
        figures: dict[str, Reading[Any]] = {
            "sustained_lookups": Reading(count, None),
            "sustained_s": Reading(elapsed, None),
            "sustained_busy_fraction": busy,
            "payload_bytes_per_s": Reading(count * work.payload_bytes / elapsed, None),
            "dram_bytes_per_lookup": seen.dram_bytes_per_s.then(lambda rate: rate * elapsed / count),
            "joules_per_gb": seen.joules_per_lookup.then(lambda joules: joules / work.payload_bytes * 1e9),
            "energy_j": seen.energy_j,
            "joules_per_lookup": seen.joules_per_lookup,
            "mean_power_w": seen.mean_power_w,
            "dram_utilisation_fraction": seen.dram_utilisation_fraction,
            "dram_bytes_per_s": seen.dram_bytes_per_s,
            "sm_utilisation_fraction": seen.sm_utilisation_fraction,
            "sm_occupancy_fraction": seen.sm_occupancy_fraction,
            "pcie_tx_bytes_per_s": seen.pcie_tx_bytes_per_s,
            "pcie_rx_bytes_per_s": seen.pcie_rx_bytes_per_s,
        }
        figures |= {name: of_work(busy, figures[name]) for name in _OF_WORK}
        gauges = _gauges(before, "before") | _gauges(after, "after")
        return facts(figures | gauges | _throttled(THROTTLED, before, after))


def _gauges(counters: Counters, when: str) -> dict[str, Reading[int]]:
    return {
        f"temperature_c_{when}": counters.temperature_c,
        f"memory_temperature_c_{when}": counters.memory_temperature_c,
        f"sm_clock_hz_{when}": counters.sm_clock_hz,
        f"memory_clock_hz_{when}": counters.memory_clock_hz,
    }


def _throttled(prefix: str, before: Counters, after: Counters) -> dict[str, Reading[float]]:
    held_down_s = difference(before, after).throttled_s
    return {f"{prefix}{cause}_s": held_down_s[cause] for cause in CAUSES}


def missing(gpu: Gpu) -> str | None:
    """The figures of a record that NVML does not report here, with the reasons, on one line; None if none."""
    counters = gpu.counters()
    limited, heated = (counters.throttled_ns[cause] for cause in ("software_power_cap", "hardware_thermal"))
    figures: dict[str, Reading[Any]] = {
        "memory": gpu.memory().used_bytes,
        "energy": counters.energy_j,
        "clocks": counters.sm_clock_hz,
        "temperature": counters.temperature_c,
        "memory temperature": counters.memory_temperature_c,
        "throttling": limited,
        "DRAM traffic": gpu.dram_bytes_per_s(),
    }
    if limited.reason is None:  # older drivers report some causes and not others
        figures["throttling by heat"] = heated
    names: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.reason is not None:
            names.setdefault(figure.reason, []).append(name)
    return "; ".join(f"{', '.join(same)} ({reason})" for reason, same in names.items()) or None


def identity_facts(uuid: str) -> dict[str, Fact]:
    """What NVML reports of a GPU without identifying it; ``nvml_missing``: figures it does not report."""
    gpu = Gpu.open(uuid)
    try:
        identity = {name: fact for name, fact in gpu.identity().items() if name not in _NOT_STORED}
        return {**facts(identity), "nvml_missing": missing(gpu)}
    finally:
        gpu.close()
