"""The doctor's findings in made-up readings of a GPU."""

from __future__ import annotations

from typing import Any

import pytest

from backends import describe, names
from suite.doctor.gpu import GpuState, gpu_findings
from suite.doctor.libraries import libraries
from suite.machine.cuda_device import CudaDevice
from suite.telemetry.nvml.figures import Counters, Difference, Memory, Process
from suite.telemetry.reading import Reading


def gpu(identity: dict[str, Any] | None = None, **more: Any) -> GpuState:
    """A quiet GPU with these readings changed; a text is the reason why there is no value."""
    told = {
        "persistence_enabled": True,
        "ecc_enabled": True,
        "mig_enabled": False,
        "power_limit_w": 700.0,
        "max_sm_clock_hz": 1_980_000_000,
        "max_memory_clock_hz": 2_619_000_000,
        "pci_bus_id": "00000000:17:00.0",
        "name": "NVIDIA H100",
        "driver_version": "580.95.05",
        "cuda_driver_version": "13.2",
        "bus_width_bits": 5120,
        "theoretical_peak_bytes_per_s": 3_352_320_000_000,
    } | (identity or {})
    sizes = {"total_bytes": reading(85_899_345_920), "used_bytes": reading(more.get("used", 2_500_000_000))}
    others = dict.fromkeys(("struct_version", "free_bytes", "reserved_bytes"), reading(0))
    numbers = Memory(**sizes, **others, processes=reading(more.get("processes", ())))
    counters = Counters(
        at_s=1.0,
        energy_j=reading(1.0),
        throttled_ns={},
        temperature_c=reading(more.get("temperature", 40)),
        memory_temperature_c=reading(more.get("memory_temperature", "not supported")),
        sm_clock_hz=reading(more.get("clock", 1_980_000_000)),
        memory_clock_hz=reading(2_619_000_000),
        power_w=reading(more.get("drawn", 80.0)),
    )
    causes = more.get("throttled", {"software_power_cap": 0.0, "hardware_thermal": 0.0})
    throttled = {cause: reading(value) for cause, value in causes.items()}
    during = Difference(0.5, throttled)
    identity = {key: reading(value) for key, value in told.items()}
    return GpuState(identity, numbers, counters, during, more.get("missing"), more.get("cuda"))


def reading(value: Any) -> Reading[Any]:
    missing = isinstance(value, str) and value.startswith("not ")
    return Reading(None, value) if missing else Reading(value)


def test_a_quiet_gpu_is_ok() -> None:
    every = gpu_findings(gpu())
    assert {finding.grade for finding in every} == {"ok"} and len(every) == 8


def test_a_gpu_that_can_not_be_divided_has_nothing_said_of_it() -> None:
    state = gpu({"mig_enabled": "not supported", "ecc_enabled": "not supported"})
    assert not [one for one in gpu_findings(state) if "MIG" in one.subject or "ECC" in one.state]


H100 = CudaDevice("H100", "ab", 50_000_000, 80_000_000_000)
PROCESSES = (Process(4242, Reading(2**30)), Process(4343, Reading(None, "not available")))


@pytest.mark.parametrize(
    ("subject", "state", "grade", "words"),
    [
        (
            "persistence mode",
            gpu({"persistence_enabled": False}),
            "warn",
            "sudo nvidia-smi -i 00000000:17:00.0 -pm 1",
        ),
        ("persistence mode", gpu({"persistence_enabled": "not supported"}), "unknown", "not supported"),
        ("MIG", gpu({"mig_enabled": True}), "warn", "undivided"),
        ("model", gpu(), "ok", "NVIDIA H100, driver 580.95.05, CUDA 13.2, ECC on, at 17:00.0"),
        ("model", gpu({"ecc_enabled": False}), "ok", "ECC off"),
        ("model", gpu({"name": "not supported", "driver_version": "not supported"}), "ok", "driver unknown"),
        ("memory", gpu(), "ok", "85.9 GB, 2.5 GB in use, peak 3352 GB/s by 5120 bits at 2619 MHz"),
        ("memory", gpu({"theoretical_peak_bytes_per_s": "not supported"}), "ok", "2.5 GB in use"),
        ("memory", gpu(used="not permitted"), "unknown", "not permitted"),
        ("counters", gpu(), "ok", "all available"),
        (
            "counters",
            gpu(missing="energy (not supported)"),
            "unknown",
            "not available: energy (not supported)",
        ),
        ("power limit", gpu(drawn=690.0), "warn", "700 W, 690 W drawn"),
        ("power limit", gpu(drawn="not supported"), "ok", "700 W"),
        ("power limit", gpu({"power_limit_w": "not of an instance"}), "unknown", "not of an instance"),
        ("clocks", gpu(clock=345_000_000), "unknown", "-lgc 1980"),
        ("clocks", gpu(clock=345_000_000), "unknown", "SM 345 of 1980 MHz, memory 2619 of 2619 MHz"),
        ("clocks", gpu(clock="not permitted"), "unknown", "not permitted"),
        (
            "throttling",
            gpu(throttled={"software_power_cap": 0.2, "sync_boost": 0.0}),
            "warn",
            "software power cap",
        ),
        ("throttling", gpu(throttled={"a": 0.0, "b": "not known"}, temperature=91), "ok", "91 °C"),
        ("throttling", gpu(throttled={"a": "not numbered so"}), "unknown", "not numbered so"),
        ("throttling", gpu(throttled={}), "unknown", "no counters"),
        ("throttling", gpu(memory_temperature=95), "ok", "none in 0.5 s, 40 °C, memory 95 °C"),
        ("torch", gpu({"uuid": "GPU-ab"}, cuda=H100), "ok", "sees this GPU, L2 cache 50.0 MB"),
        ("torch", gpu({"uuid": "not supported"}, cuda=H100), "ok", "sees this GPU"),
        ("torch", gpu({"uuid": "GPU-cd"}, cuda=H100), "warn", "this number is another GPU: H100"),
        ("torch", gpu(cuda="torch is built for the CPU only"), "warn", "built for the CPU only"),
        ("other processes", gpu(), "ok", "none visible"),
        ("other processes", gpu(processes=PROCESSES), "warn", "2 (pid 4242, 4343)"),
        ("other processes", gpu(processes="not permitted"), "unknown", "not permitted"),
    ],
)
def test_each_reading_of_a_gpu_has_its_grade(subject: str, state: GpuState, grade: str, words: str) -> None:
    (finding,) = [one for one in gpu_findings(state) if one.subject == f"GPU: {subject}"]
    assert finding.grade == grade
    assert words in finding.state + finding.advice
    assert (grade != "warn") or (finding.why and finding.advice)


THERE = {"torch": "2.11.0+cu130", "cupy-cuda13x": "13.6.0", "numba-cuda": "0.30.4", "numba": "0.68.1"}


def test_every_library_of_a_gpu_is_listed_with_what_it_needs_and_whether_it_fits() -> None:
    found = libraries(THERE.get)
    assert {name for one in found for name in one.backends} == {
        name for name in names() if "cuda" in describe(name).devices
    }
    said = [str(one) for one in found]
    assert any(line.startswith("too old    cupy-cuda13x 13.6.0, needs 14 or later: ") for line in said)
    assert "ok         cupy-cuda13x 13.6.0: cupy_take" in said
    assert "ok         numba-cuda 0.30.4, needs 0.30.4 or later: numba_cuda" in said
    assert "not there  cuda-tile>=1.7: cutile_gather" in said
    assert any(line.startswith("not there  triton: ") for line in said)
