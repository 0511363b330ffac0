"""GPU as NVML reports it: its identity, memory, counters, and the figures of a sustained phase.

Nothing here raises for what the machine lacks, and nothing polls: each call is given up after a limit, and a
figure that is not available is a reading with the reason. Left out on purpose: NVML's "memory utilization", a
share of time that is easily mistaken for bandwidth.
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable
from typing import Any

from suite.telemetry.nvml.calls import UNKNOWN_TO_DRIVER, Calls
from suite.telemetry.nvml.fields import read_fields
from suite.telemetry.nvml.figures import Counters, Memory, Sustained, each, mean_power, process, spent
from suite.telemetry.nvml.find import find
from suite.telemetry.nvml.gpm import SHORTEST_S, Gpm
from suite.telemetry.reading import Reading, both

OF_WHOLE_GPU = "a figure of the whole GPU, not of a MIG instance"

# nvml.h, stable: clock domains, the temperature sensor, the version word of nvmlMemory_v2_t.
_SM, _MEMORY, _GPU_SENSOR, _MEMORY_V2 = 1, 2, 0, 0x02000028


class Gpu:
    """A GPU or a MIG instance; if it can't be opened, the reason is that of all its readings."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handle: Any = None  # the GPU, or the MIG instance
        self._gpu: Any = None  # the GPU itself
        self._gpu_instance: int | None = None

    @classmethod
    def open(cls, which: str = "0", *, limit_s: float = 10.0, open_limit_s: float = 60.0) -> Gpu:
        """Open the GPU that ``which`` names; ``find.find`` lists the ways to name one.

        Args:
            which: preferably the UUID that CUDA reports, since an index can mean another GPU to CUDA.
            limit_s: a call that takes longer is given up, and the GPU with it.
            open_limit_s: the same while opening; a driver without persistence mode then wakes every GPU.
        """
        gpu = cls(Calls(open_limit_s))
        ready = gpu._calls.ask("nvmlInit")
        if ready.reason is not None:
            gpu._calls.stopped = ready.reason
        else:
            gpu._close_because(gpu._attach(which))
        gpu._calls.limit_s = limit_s
        return gpu

    @property
    def unavailable(self) -> str | None:
        """Why nothing can be read any more: not opened, hung, closed. None while it works.

        A call that hung may still hold the driver's lock: do not trust timings after it.
        """
        return self._calls.stopped

    def close(self) -> None:
        """Release NVML; later readings have the reason ``closed``."""
        self._close_because("closed")

    def identity(self) -> dict[str, Reading[Any]]:
        """What the GPU is; its L2 cache and number of SMs are reported by CUDA, not here."""
        ask, gpu = self._calls.ask, self._gpu
        return {
            "name": ask("nvmlDeviceGetName", self._handle),
            "uuid": ask("nvmlDeviceGetUUID", self._handle),
            "gpu_uuid": ask("nvmlDeviceGetUUID", gpu),
            "pci_bus_id": ask("nvmlDeviceGetPciInfo", gpu).then(lambda info: info.busId),
            "driver_version": ask("nvmlSystemGetDriverVersion"),
            "nvml_version": ask("nvmlSystemGetNVMLVersion"),
            "cuda_driver_version": ask("nvmlSystemGetCudaDriverVersion").then(
                lambda version: f"{version // 1000}.{version % 1000 // 10}"
            ),
            "compute_capability": ask("nvmlDeviceGetCudaComputeCapability", gpu).then(
                lambda capability: f"{capability[0]}.{capability[1]}"
            ),
            "total_memory_bytes": self._memory_sizes()["total"],
            "bus_width_bits": self._bus_width_bits(),
            "max_memory_clock_hz": _hz(ask("nvmlDeviceGetMaxClockInfo", gpu, _MEMORY)),
            "max_sm_clock_hz": _hz(ask("nvmlDeviceGetMaxClockInfo", gpu, _SM)),
            "theoretical_peak_bytes_per_s": self._peak_bytes_per_s(),
            "power_limit_w": self._of_whole_gpu("nvmlDeviceGetEnforcedPowerLimit").then(_thousandth),
            "ecc_enabled": ask("nvmlDeviceGetEccMode", gpu).then(lambda mode: bool(mode[0])),
            "persistence_enabled": ask("nvmlDeviceGetPersistenceMode", gpu).then(bool),
            "mig_enabled": ask("nvmlDeviceGetMigMode", gpu).then(lambda mode: bool(mode[0])),
        }

    def memory(self) -> Memory:
        """Memory in use on the device, and the processes that compute on it."""
        sizes = self._memory_sizes()
        running = self._calls.ask_newest(
            ("nvmlDeviceGetComputeRunningProcesses_v3", self._handle),
            ("nvmlDeviceGetComputeRunningProcesses_v2", self._handle),
        )
        return Memory(
            struct_version=sizes["version"],
            total_bytes=sizes["total"],
            used_bytes=sizes["used"],
            free_bytes=sizes["free"],
            reserved_bytes=sizes["reserved"],
            processes=running.then(lambda processes: tuple(map(process, processes))),
        )

    def counters(self) -> Counters:
        """Read every counter once: about ten calls and some milliseconds. Never during a timed sample."""
        ask = self._calls.ask
        throttled, memory_c = read_fields(self._calls, self._gpu)
        sm_clock = _hz(ask("nvmlDeviceGetClockInfo", self._gpu, _SM))
        memory_clock = _hz(ask("nvmlDeviceGetClockInfo", self._gpu, _MEMORY))
        core_c = self._calls.ask_newest(
            ("nvmlDeviceGetTemperatureV", self._gpu, _GPU_SENSOR),
            ("nvmlDeviceGetTemperature", self._gpu, _GPU_SENSOR),
        )
        power = self._of_whole_gpu("nvmlDeviceGetPowerUsage").then(_thousandth)
        at_s, energy = self._energy()
        return Counters(at_s, energy, throttled, core_c, memory_c, sm_clock, memory_clock, power)

    def dram_bytes_per_s(self) -> Reading[float]:
        """DRAM traffic of all processes over a tenth of a second, read as in a sustained phase."""
        gpm = Gpm(self._calls, self._gpu, self._gpu_instance)
        try:
            gpm.take()
            if gpm.problem is None:
                time.sleep(1.1 * SHORTEST_S)
            gpm.take()
            share = gpm.figures()["dram_utilisation_fraction"]
            return both(share, self._peak_bytes_per_s(), operator.mul)
        finally:
            gpm.free()

    def sustained(self, run: Callable[[], int], seconds: float) -> Sustained:
        """Run lookups for ``seconds`` and read their energy and traffic.

        Args:
            run: does a burst of lookups, waits until their rows are there, returns their number. With bursts
                of about 10 ms the gaps between them are negligible. Its exceptions pass through.
        """
        peak = self._peak_bytes_per_s()
        gpm = Gpm(self._calls, self._gpu, self._gpu_instance)
        run()  # not counted: warm-up, while the clocks rise
        try:
            gpm.take()
            start_s, energy_before = self._energy()
            lookups = run()
            while time.monotonic() < start_s + seconds:
                lookups += run()
            end_s, energy_after = self._energy()
            gpm.take()
            device = gpm.figures()
        finally:
            gpm.free()
        elapsed_s = end_s - start_s
        energy = spent(energy_before, energy_after, elapsed_s)
        return Sustained(
            lookups=lookups,
            elapsed_s=elapsed_s,
            energy_j=energy,
            joules_per_lookup=each(energy, lookups),
            mean_power_w=mean_power(energy, elapsed_s),
            dram_bytes_per_s=both(device["dram_utilisation_fraction"], peak, operator.mul),
            **device,
        )

    def _attach(self, which: str) -> str | None:
        """Find the device; the reason if that fails."""
        handle = find(self._calls, which, os.environ)
        if handle.value is None:
            return handle.reason
        self._handle = self._gpu = handle.value
        is_instance = self._calls.ask("nvmlDeviceIsMigDeviceHandle", handle.value)
        if is_instance.value is not None and is_instance.value.value:
            parent = self._calls.ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle.value)
            instance = self._calls.ask("nvmlDeviceGetGpuInstanceId", handle.value)
            self._gpu, self._gpu_instance = parent.value, instance.value
            return parent.reason or instance.reason
        return None

    def _close_because(self, reason: str | None) -> None:
        if reason is not None:
            self._calls.ask("nvmlShutdown")
            self._calls.stopped = self._calls.stopped or reason

    def _of_whole_gpu(self, function: str, *arguments: Any) -> Reading[Any]:
        if self._gpu_instance is not None and self._calls.stopped is None:
            return Reading(None, OF_WHOLE_GPU)
        return self._calls.ask(function, self._gpu, *arguments)

    def _bus_width_bits(self) -> Reading[int]:
        return _nonzero(self._of_whole_gpu("nvmlDeviceGetMemoryBusWidth"))

    def _peak_bytes_per_s(self) -> Reading[int]:
        # Two transfers a clock, as for NVIDIA's GDDR and HBM; drivers have misreported the width.
        clock = _hz(self._of_whole_gpu("nvmlDeviceGetMaxClockInfo", _MEMORY))
        return both(clock, self._bus_width_bits(), lambda hz, bits: 2 * hz * bits // 8)

    def _energy(self) -> tuple[float, Reading[float]]:
        """(monotonic time, joules since the driver was loaded); NVML counts millijoules."""
        before_s = time.monotonic()
        energy = self._of_whole_gpu("nvmlDeviceGetTotalEnergyConsumption").then(_thousandth)
        return (before_s + time.monotonic()) / 2, energy

    def _memory_sizes(self) -> dict[str, Reading[int]]:
        version, info = 2, self._calls.ask("nvmlDeviceGetMemoryInfo", self._handle, _MEMORY_V2)
        if info.reason in UNKNOWN_TO_DRIVER:
            version, info = 1, self._calls.ask("nvmlDeviceGetMemoryInfo", self._handle)
        sizes = {name: info.then(operator.attrgetter(name)) for name in ("total", "used", "free")}
        if version == 1 and info.reason is None:
            sizes["reserved"] = Reading(None, "not in version 1 of the structure")
        else:
            sizes["reserved"] = info.then(operator.attrgetter("reserved"))
        return {"version": info.then(lambda _: version), **sizes}


def _hz(mhz: Reading[int]) -> Reading[int]:
    return _nonzero(mhz).then(lambda value: value * 1_000_000)


def _nonzero(reading: Reading[int]) -> Reading[int]:
    return Reading(None, "reported as 0") if reading.value == 0 else reading


def _thousandth(value: int) -> float:
    return value / 1000
