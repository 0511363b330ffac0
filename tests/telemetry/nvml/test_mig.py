"""MIG instances: what is read of them, and what belongs to the whole GPU."""

from __future__ import annotations

import pytest

from tests.support.nvml import (
    ENERGY_OF_PHASE,
    FOUR,
    GPUS,
    MIG,
    Child,
    opened,
    reading,
    without,
)

OF_WHOLE_GPU = "a figure of the whole GPU, not of a MIG instance"


def test_a_mig_instance_lacks_the_figures_of_the_whole_gpu(child: Child) -> None:
    survey = child(f"at(Gpu.open({MIG!r}), gpm=True)", shortest_gpm_s=-1)
    whole = {path for path, figure in survey.items() if figure == without(OF_WHOLE_GPU)}
    assert whole == {
        "identity.bus_width_bits",
        "identity.theoretical_peak_bytes_per_s",
        "identity.power_limit_w",
        "counters.energy_j",
        "counters.power_w",
        "sustained.dram_bytes_per_s",
        *ENERGY_OF_PHASE,
    }
    assert survey["identity.name"] == reading("NVIDIA H100 MIG 1g.10gb")
    assert survey["identity.uuid"] == reading(MIG)
    assert survey["identity.gpu_uuid"] == reading(GPUS[0])
    assert survey["memory.total_bytes"] == reading(10737418240)
    assert survey["counters.sm_clock_hz"] == reading(1_755_000_000)
    # The stub adds the instance's number to what it answers for an instance.
    assert survey["sustained.dram_utilisation_fraction"] == reading(19.5 * 0.01)
    assert {path for path, figure in survey.items() if figure["value"] is None} == whole


def test_a_mig_instance_is_found_through_cuda_visible_devices(child: Child) -> None:
    assert opened(child, "0", CUDA_VISIBLE_DEVICES=MIG) == MIG


def test_an_index_of_a_gpu_in_mig_mode_is_refused(child: Child) -> None:
    assert opened(child, "1", {**FOUR, "mig": 1}) == "GPU 1 is in MIG mode: name an instance by its MIG- UUID"
    assert opened(child, GPUS[1], {**FOUR, "mig": 1}) == GPUS[1]


@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetDeviceHandleFromMigDeviceHandle", "nvmlDeviceGetGpuInstanceId"]
)
def test_a_mig_instance_whose_gpu_is_unknown_is_refused(child: Child, function: str) -> None:
    assert opened(child, MIG, {function: 4}) == "no permission"


def test_gpm_of_a_mig_instance_may_be_refused(child: Child) -> None:
    survey = child(f"at(Gpu.open({MIG!r}), gpm=True)", {"nvmlGpmMigSampleGet": 4}, shortest_gpm_s=-1)
    assert survey["sustained.dram_utilisation_fraction"] == without("no permission")
