"""Which GPU an index, a UUID or a bus id names."""

from __future__ import annotations

import pytest

from suite.telemetry.nvml.find import visible
from tests.support.nvml import (
    FOUR,
    GPUS,
    MIG,
    Child,
    opened,
    reading,
)


@pytest.mark.parametrize(
    ("mask", "which", "uuid"),
    [
        (None, "2", GPUS[2]),
        ("3,1", "0", GPUS[3]),
        ("3,1", "1", GPUS[1]),
        (" 2 , 0", "0", GPUS[2]),
        (GPUS[1], "0", GPUS[1]),
        (f"{GPUS[3]},GPU-a0000002", "1", GPUS[2]),
        ("GPU-a0000002", "0", GPUS[2]),
        ("0,2,-1,1", "1", GPUS[2]),
        (f"2,{GPUS[0]}", "0", GPUS[2]),
    ],
)
def test_an_index_is_the_one_the_user_sees(child: Child, mask: str | None, which: str, uuid: str) -> None:
    environ = {} if mask is None else {"CUDA_VISIBLE_DEVICES": mask}
    assert opened(child, which, **environ) == uuid


@pytest.mark.parametrize(
    ("mask", "which", "seen"),
    [
        ("", "0", 0),
        ("-1", "0", 0),
        ("0,2,-1,1", "2", 2),
        ("1", "1", 1),
        ("1,1", "0", 0),
        ("9", "0", 0),
        ("GPU-a000", "0", 0),
        ("GPU-ffff", "0", 0),
        (f"2,{GPUS[0]}", "1", 1),
        ("a0000001", "0", 0),
        ("0,,1", "1", 1),
    ],
)
def test_a_gpu_that_cuda_hides_is_not_opened(child: Child, mask: str, which: str, seen: int) -> None:
    reason = opened(child, which, CUDA_VISIBLE_DEVICES=mask)
    assert reason == f"no GPU {which}: CUDA sees {seen} of 4 through CUDA_VISIBLE_DEVICES={mask}"


def test_an_index_beyond_the_last_gpu_is_refused(child: Child) -> None:
    assert opened(child, "4") == "no GPU 4: CUDA sees 4 of 4"
    assert opened(child, "0", {"count": 0}) == "no GPU in this machine"


@pytest.mark.parametrize(
    ("which", "uuid"),
    [
        (GPUS[3], GPUS[3]),
        (GPUS[3].removeprefix("GPU-"), GPUS[3]),
        (MIG.removeprefix("MIG-"), MIG),
        ("GPU-a0000001", GPUS[1]),
        ("a0000001", GPUS[1]),
        ("00000000:12:00.0", GPUS[2]),
    ],
)
def test_a_uuid_or_a_bus_id_names_a_gpu_whatever_cuda_hides(child: Child, which: str, uuid: str) -> None:
    assert opened(child, which, CUDA_VISIBLE_DEVICES="0") == uuid


def test_a_uuid_that_fits_none_or_several_is_refused(child: Child) -> None:
    assert opened(child, "GPU-a000") == "4 GPUs have a UUID that begins with GPU-a000"
    assert opened(child, "GPU-beef") == "0 GPUs have a UUID that begins with GPU-beef"
    assert opened(child, "00000000:77:00.0") == "not found"
    assert opened(child, GPUS[1], {"nvmlDeviceGetHandleByUUID": 15}) == "GPU is lost"
    assert opened(child, "00000000:11:00.0", {"nvmlDeviceGetHandleByPciBusId_v2": 4}) == "no permission"


def test_an_index_follows_the_pci_bus_and_not_nvmls_order(child: Child) -> None:
    swapped = {**FOUR, "0.bus": "00000000:F0:00.0"}
    assert opened(child, "0", swapped) == GPUS[1]
    assert opened(child, "3", swapped) == GPUS[0]


def test_an_index_among_different_gpus_is_refused_where_cuda_may_count_otherwise(child: Child) -> None:
    mixed = {**FOUR, "0.name": "NVIDIA T400"}
    refused = "the GPUs differ, so CUDA may number them differently: name one by its UUID"
    assert opened(child, "1", mixed) == refused
    assert opened(child, "0", mixed, CUDA_VISIBLE_DEVICES="1") == refused
    assert opened(child, "1", mixed, CUDA_DEVICE_ORDER="FASTEST_FIRST") == refused
    assert opened(child, "1", mixed, CUDA_DEVICE_ORDER="PCI_BUS_ID") == GPUS[1]
    assert opened(child, "0", mixed, CUDA_VISIBLE_DEVICES=GPUS[2]) == GPUS[2]
    assert opened(child, GPUS[1], mixed) == GPUS[1]


def test_a_gpu_that_is_lost_is_not_counted(child: Child) -> None:
    assert opened(child, "0", {**FOUR, "0.handle": 15}) == GPUS[1]
    assert opened(child, "3", {**FOUR, "0.handle": 15}) == "no GPU 3: CUDA sees 3 of 3"


def test_gpus_that_do_not_tell_their_uuid_are_still_counted(child: Child) -> None:
    bus = "Gpu.open('1').identity()['pci_bus_id']"
    mask = {"CUDA_VISIBLE_DEVICES": "3,2"}
    assert child(bus, {**FOUR, "nvmlDeviceGetUUID": 3}, environ=mask) == reading("00000000:12:00.0")


def test_visible_gpus_follow_from_the_mask_alone() -> None:
    assert visible(None, GPUS) == GPUS
    assert visible("MIG-1,MIG-2", GPUS) == ["MIG-1", "MIG-2"]
    assert visible("1,0", []) == []
