"""A GPU's identity, memory and counters through the stand-in for NVML, and the reason where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from suite.telemetry.nvml.calls import NOT_INSTALLED
from tests.support import ROOT
from tests.support.nvml import (
    GPUS,
    SAMPLES_ALIVE,
    SURVEY,
    Child,
    reading,
    without,
)


def test_the_identity_is_read_whole(child: Child) -> None:
    assert child("Gpu.open().identity()") == {
        "name": reading("NVIDIA H100"),
        "uuid": reading(GPUS[0]),
        "gpu_uuid": reading(GPUS[0]),
        "pci_bus_id": reading("00000000:10:00.0"),
        "driver_version": reading("580.95.05"),
        "nvml_version": reading("13.580.95.05"),
        "cuda_driver_version": reading("13.2"),
        "compute_capability": reading("9.0"),
        "total_memory_bytes": reading(85899345920),
        "bus_width_bits": reading(5120),
        "max_memory_clock_hz": reading(2_619_000_000),
        "max_sm_clock_hz": reading(1_980_000_000),
        "theoretical_peak_bytes_per_s": reading(3_352_320_000_000),
        "power_limit_w": reading(700.5),
        "ecc_enabled": reading(True),
        "persistence_enabled": reading(False),
        "mig_enabled": reading(False),
    }


def test_memory_is_read_in_version_2_with_its_processes(child: Child) -> None:
    assert child("Gpu.open().memory()") == {
        "struct_version": reading(2),
        "total_bytes": reading(85899345920),
        "used_bytes": reading(2002),
        "free_bytes": reading(85899345920 - 3003),
        "reserved_bytes": reading(1001),
        "processes": reading(
            [
                {"pid": 4000, "used_bytes": reading(123456789)},
                {"pid": 4001, "used_bytes": without("not available")},
            ]
        ),
    }


def test_no_process_is_an_empty_list_and_not_a_missing_one(child: Child) -> None:
    assert child("Gpu.open().memory().processes", {"processes": 0}) == reading([])


def test_the_counters_are_read_whole(child: Child) -> None:
    counters = child("Gpu.open().counters()")
    assert counters.pop("at_s") > 0
    assert counters == {
        "energy_j": reading(5000000.001),
        "throttled_ns": {
            "software_power_cap": reading(18446744073),
            "sync_boost": reading(76),
            "software_thermal": reading(2690000000000),
            "hardware_thermal": reading(270),
            "hardware_power_brake": reading(271),
        },
        "temperature_c": reading(51),
        "memory_temperature_c": reading(61),
        "sm_clock_hz": reading(1_755_000_000),
        "memory_clock_hz": reading(2_618_000_000),
        "power_w": reading(345.678),
    }


def test_a_sustained_phase_has_every_figure(child: Child) -> None:
    phase = child("Gpu.open().sustained(burst, 1.02)", {"energy_step_mj": 612345})
    lookups, elapsed_s = phase.pop("lookups"), phase.pop("elapsed_s")
    assert lookups % 3 == 0 and 90 < lookups <= 309
    assert 1.02 <= elapsed_s < 2
    assert phase == {
        "energy_j": reading(612.345),
        "joules_per_lookup": reading(612.345 / lookups),
        "mean_power_w": reading(612.345 / elapsed_s),
        "sm_utilisation_fraction": reading(2.5 * 0.01),
        "sm_occupancy_fraction": reading(3.5 * 0.01),
        "dram_utilisation_fraction": reading(10.5 * 0.01),
        "dram_bytes_per_s": reading(10.5 * 0.01 * 3_352_320_000_000),
        "pcie_tx_bytes_per_s": reading(20.5 * 1048576),
        "pcie_rx_bytes_per_s": reading(21.5 * 1048576),
    }


def test_however_short_a_phase_is_lookups_are_counted(child: Child) -> None:
    assert child("Gpu.open().sustained(lambda: 7, 0.0).lookups") == 7


def test_gpm_samples_are_given_back_even_when_the_lookups_fail(child: Child) -> None:
    assert child(SAMPLES_ALIVE) == 0
    raised = child.answer("Gpu.open().sustained(iter([1]).__next__, 1.0)")
    assert raised["raised"].startswith("StopIteration")
    assert child(SAMPLES_ALIVE) == 0


def test_after_close_every_figure_is_closed_and_nvml_is_shut_down(child: Child) -> None:
    initialized = "__import__('pynvml').nvmlLib.stub_initialized()"
    child("Gpu.open().unavailable")
    before = child(initialized)
    reason = child("[(gpu := Gpu.open()), gpu.close(), gpu.close(), gpu.memory().used_bytes][3]")
    assert reason == without("closed")
    assert child(initialized) == before
    assert child("Gpu.open('7').unavailable") == "no GPU 7: CUDA sees 1 of 1"
    assert child(initialized) == before, "what could not be opened is let go of"


@pytest.mark.parametrize(
    ("environ", "reason"),
    [({}, "NVML library not found: no NVIDIA driver"), ({"NVML_STUB_BLOCK": "1"}, NOT_INSTALLED)],
)
def test_without_driver_or_package_every_figure_has_the_reason(
    tmp_path: Path, environ: dict[str, str], reason: str
) -> None:
    child = Child(tmp_path, tmp_path, **environ)
    try:
        assert child("Gpu.open().unavailable") == reason
        survey = child(SURVEY)
        assert survey and all(figure == without(reason) for figure in survey.values())
        assert child("Gpu.open().close()") is None
    finally:
        child.close()


def test_importing_loads_neither_pynvml_nor_torch() -> None:
    code = (
        "import sys, suite.telemetry.nvml.gpu; print(sorted({'pynvml', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
