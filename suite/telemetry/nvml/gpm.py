"""GPU performance monitoring (GPM, Hopper and newer): activity of the device between two samples."""

from __future__ import annotations

import math
import time
from typing import Any

from suite.telemetry.nvml.calls import NOT_SUPPORTED, Calls, reason_of
from suite.telemetry.reading import Reading

SHORTEST_S = 0.1
"""NVML requires more than this between two samples."""

MIB = 1 << 20

# Our name: (nvmlGpmMetricId_t, factor from its unit to ours). NVML gives percent, and MiB/s for PCIe.
METRICS = {
    "sm_utilisation_fraction": (2, 0.01),
    "sm_occupancy_fraction": (3, 0.01),
    "dram_utilisation_fraction": (10, 0.01),
    "pcie_tx_bytes_per_s": (20, MIB),
    "pcie_rx_bytes_per_s": (21, MIB),
}


class Gpm:
    """Two samples of one GPU, or of one MIG GPU instance.

    The counters are the device's: they include the work of other processes, and another profiler on the
    machine can disturb them.

    Attributes:
        problem: the first failure, which is then the reason of every figure.
    """

    def __init__(self, calls: Calls, gpu: Any, gpu_instance: int | None) -> None:
        self._calls, self._gpu, self._gpu_instance = calls, gpu, gpu_instance
        self._samples: list[Any] = []
        self._times_s: list[float] = []
        support = calls.ask("nvmlGpmQueryDeviceSupport", gpu)
        offered = support.value is not None and support.value.isSupportedDevice
        self.problem = support.reason or (None if offered else NOT_SUPPORTED)

    def take(self) -> None:
        """Take a sample."""
        if self.problem:
            return
        sample = self._calls.ask("nvmlGpmSampleAlloc")
        if sample.value is None:
            self.problem = sample.reason
            return
        self._samples.append(sample.value)
        if self._gpu_instance is None:
            answer = self._calls.ask("nvmlGpmSampleGet", self._gpu, sample.value)
        else:
            answer = self._calls.ask("nvmlGpmMigSampleGet", self._gpu, self._gpu_instance, sample.value)
        self._times_s.append(time.monotonic())
        self.problem = answer.reason

    def figures(self) -> dict[str, Reading[float]]:
        """Means between the first and the last sample, keyed like METRICS."""
        if not self.problem and self._times_s[-1] - self._times_s[0] <= SHORTEST_S:
            self.problem = f"too short: GPM needs more than {SHORTEST_S:g} s"
        if self.problem:
            return {name: Reading(None, self.problem) for name in METRICS}
        import pynvml

        request = pynvml.c_nvmlGpmMetricsGet_t()
        request.version, request.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(METRICS)
        request.sample1, request.sample2 = self._samples[0], self._samples[-1]
        for slot, (metric, _) in zip(request.metrics, METRICS.values(), strict=False):
            slot.metricId = metric
        answer = self._calls.ask("nvmlGpmMetricsGet", request)
        if answer.value is None:
            return {name: Reading(None, answer.reason) for name in METRICS}
        # The call can succeed although a metric in it failed.
        return {
            name: _figure(slot, unit)
            for slot, (name, (_, unit)) in zip(answer.value.metrics, METRICS.items(), strict=False)
        }

    def free(self) -> None:
        """Free the driver's samples."""
        for sample in self._samples:
            self._calls.ask("nvmlGpmSampleFree", sample)
        self._samples = []


def _figure(metric: Any, unit: float) -> Reading[float]:
    if metric.nvmlReturn:
        return Reading(None, reason_of(metric.nvmlReturn))
    if not math.isfinite(metric.value):
        return Reading(None, "not a number")
    return Reading(metric.value * unit)
