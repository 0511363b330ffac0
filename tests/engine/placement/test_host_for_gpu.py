"""Pinned and managed memory, the driver stood in for: the same rows, given back, refused with a reason."""

from __future__ import annotations

import errno
import gc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine import measure, operands
from suite.engine.arrays import CudaArrays, HostArrays
from suite.machine import environment
from suite.records.device import Device
from suite.records.record import Record
from suite.telemetry import nvidia
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading
from suite.worker.devices import Tables
from tests.stand_ins import host_cuda
from tests.stand_ins.host_cuda import Driver
from tests.support.kernels import needs_driver

PLACEMENTS = ("pinned", "managed")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    host_cuda.give_driver(monkeypatch, made)
    return made


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> CudaArrays:
    return host_cuda.arrays(monkeypatch)


def run(arrays: CudaArrays, which: str, placement: str) -> Record:
    case = Case(5000, 33, "bfloat16", 40, "int32", placement=placement)
    table = operands.build_table(arrays, case)
    settings = measure.Settings(limit_s=0.3, cache_bytes=2**16)
    observer = nvidia.GpuObserver(Gpu.open("0"))
    setup = measure.Setup(case, arrays, table, Reading(None, "not asked"), observer, settings)
    return measure.measure(setup, [choose(which)], "m", lambda *_: None)[0]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_table_lies_in_it_whole_and_it_is_given_back(
    arrays: CudaArrays, driver: Driver, placement: str
) -> None:
    table = operands.build_table(arrays, Case(300, 129, "float16", offset=6, placement=placement))
    assert [kind for kind, _ in driver.held.values()] == [placement]
    assert table.data_ptr() in range(*(next(iter(driver.held)) + k for k in (0, 100)))
    assert np.array_equal(table.numpy(), operands.build_table(HostArrays(), Case(300, 129, "float16")))
    del table
    gc.collect()
    assert not driver.held, "with the last array on it"


@pytest.mark.gpu
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("which", ["torch_index_select", "triton_gather", "numba_cuda", "cupy_rawkernel"])
def test_on_a_gpu_kernels_look_up_in_it_unchanged(which: str, placement: str) -> None:
    needs_driver()
    record = run(CudaArrays(Device("cuda", 0)), which, placement)
    assert record.status in ("ok", "unavailable"), record.reason


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("which", ["torch_index_select", "torch_embedding"])
@pytest.mark.usefixtures("driver")
def test_backends_look_up_in_it_unchanged(arrays: CudaArrays, which: str, placement: str) -> None:
    record = run(arrays, which, placement)
    assert record.status == "ok", record.reason
    assert record.case.placement == placement


@pytest.mark.usefixtures("driver")
def test_a_library_that_refuses_it_is_unsupported_in_its_own_words(
    arrays: CudaArrays, tmp_path: Path
) -> None:
    file = tmp_path / "refuses.py"
    file.write_text(
        "from backends.base import Backend\n\n\nclass Refuses(Backend):\n    devices = ('cuda',)\n\n"
        "    def prepare(self, table, indices, out):\n        raise TypeError('not a pointer of a device')\n"
    )
    record = run(arrays, str(file), "pinned")
    assert record.status == "unsupported"
    assert record.reason == "refuses pinned memory: TypeError: not a pointer of a device"
    assert run(arrays, str(file), "memory").status == "error", "in memory of the device it is a slip"


@pytest.mark.parametrize(("code", "number"), [(2, errno.ENOMEM), (999, errno.EIO)])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_driver_that_refuses_says_by_which_call(
    monkeypatch: pytest.MonkeyPatch, arrays: CudaArrays, placement: str, code: int, number: int
) -> None:
    host_cuda.give_driver(monkeypatch, Driver(code))
    with pytest.raises(OSError, match=f"returned CUDA error {code}") as error:
        operands.build_table(arrays, Case(300, 129, "float16", placement=placement))
    assert error.value.errno == number


@pytest.mark.parametrize(
    ("placement", "host_gb", "device_gb", "says"),
    [
        ("memory", 20, 4, "on cuda:0"),
        ("pinned", 20, 4, None),
        ("managed", 20, 4, None),
        ("pinned", 4, 20, "on the host"),
        ("managed", 4, 20, "on the host"),
    ],
)
def test_a_table_of_the_hosts_memory_may_be_larger_than_the_device(
    monkeypatch: pytest.MonkeyPatch, placement: str, host_gb: int, device_gb: int, says: str | None
) -> None:
    import torch

    monkeypatch.setattr(environment, "available_bytes", lambda: host_gb * 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (device_gb * 10**9, 0))
    monkeypatch.setattr(Tables, "opened", lambda *_: SimpleNamespace(arrays=HostArrays()))
    case = Case(1_000_000, 8192, "int8", 16, placement=placement)
    short = Tables().shortage(case, Device("cuda", 0), 2**20)
    assert (short is None) if says is None else (says in str(short))
