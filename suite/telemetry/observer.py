"""Observer of a device: its memory, energy, traffic and clocks; which one fits a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from suite.machine.cuda_device import CudaDevice
from suite.records.record import Fact
from suite.telemetry.reading import Reading
from suite.telemetry.sustained import Work


class Observer(Protocol):
    """Reads counters between timed phases, never during one."""

    def held_bytes(self) -> Reading[int]:
        """Memory in use now: resident in this process (CPU), or on the device by all processes (GPU)."""

    def taken_bytes(self, span: tuple[int, int], before: Reading[int]) -> Reading[int]:
        """Memory of a new array: resident between its addresses (CPU), or in use beyond ``before`` (GPU)."""

    def peak_bytes(self, call: Callable[[], object]) -> Reading[int]:
        """The peak of memory in use during a call, as far as the device reports one."""

    def watch(self) -> Callable[[], dict[str, Fact]]:
        """Start watching the clocks; the returned call ends it and gives what held them down, in seconds."""

    def sustained(self, work: Work, seconds: float) -> dict[str, Fact]:
        """Figures over ``seconds`` of these lookups alone, in turns and without a flush between them.

        Returns:
            Figures by name; the reason for one that is null stands in ``<name>_missing``.
        """


def observer_of(device: CudaDevice | None, limit_s: float) -> Observer:
    """The observer of a GPU, or of the CPU if it is None. Another vendor's GPUs take one more line here.

    Args:
        limit_s: how long one call of the GPU's library may take before the library is given up.
    """
    from suite.telemetry import host, nvidia

    return host.HostObserver() if device is None else nvidia.GpuObserver.open(device.uuid, limit_s)


def gpu_facts(device: CudaDevice) -> dict[str, Fact]:
    """What a GPU is, for the environment of a run.

    A fact that is not reported is null, with the reason in ``<fact>_missing``. What would identify this one
    GPU (UUIDs, its place on the bus) is left out.
    """
    from suite.telemetry import nvidia

    return {
        **nvidia.identity_facts(device.uuid),
        # The CUDA runtime reports these without the vendor's library.
        "name": device.name,
        "l2_bytes": device.l2_bytes,
        "memory_bytes": device.memory_bytes,
    }
