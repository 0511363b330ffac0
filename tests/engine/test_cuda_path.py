"""The engine's GPU branch, executed without a GPU: its tensors lie on the host, its events are stood in for.

What only a GPU can tell (speed, streams, the driver) is in tests marked ``gpu``; what a slip of the keyboard
would break is here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backends import choose
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import contender, measure, operands
from suite.engine.arrays import CudaArrays, HostArrays
from suite.records.record import Record, from_json, to_json
from suite.telemetry import nvidia
from suite.telemetry.nvml.gpu import Gpu
from suite.telemetry.reading import Reading
from tests.stand_ins import host_cuda

CASE = Case(5000, 33, "bfloat16", 40, "int32")


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> CudaArrays:
    return host_cuda.arrays(monkeypatch)


def run(
    arrays: CudaArrays,
    which: list[str],
    case: Case = CASE,
    notice: measure.Notice = lambda *_: None,
    **more: float,
) -> list[Record]:
    table = operands.build_table(arrays, *case.table)
    observer = nvidia.GpuObserver(Gpu.open("0"))
    settings = measure.Settings(limit_s=0.3, cache_bytes=2**16, **more)
    setup = measure.Setup(case, arrays, table, Reading(None, "not asked"), observer, settings)
    return measure.measure(setup, [choose(name) for name in which], "m", notice)


def test_tables_are_the_same_on_both_sides(arrays: CudaArrays) -> None:
    host = operands.build_table(HostArrays(), 300, 129, "float16")
    assert np.array_equal(operands.build_table(arrays, 300, 129, "float16").numpy(), host)
    off = operands.build_table(arrays, 300, 129, "float16", 6)
    assert off.data_ptr() % 64 == 6
    assert np.array_equal(off.numpy(), host)


@pytest.mark.parametrize("cache", ["cold", "hot"])
def test_records_hold_three_times_and_reasons(arrays: CudaArrays, cache: str) -> None:
    case = Case(5000, 33, "bfloat16", 40, "int32", cache=cache)
    records = run(arrays, ["torch_index_select", "torch_embedding"], case)
    assert [r.backend for r in records] == ["torch_index_select", "torch_embedding", "copy_torch"]
    for record in records:
        assert record.status == "ok", record.reason
        assert record.clock == "kernel" and record.device == "cuda:0"
        assert record.samples is not None and record.samples.kernel_s and record.samples.enqueue_s
        assert record.samples.call_s and record.samples.held
        assert from_json(Record, to_json(record).encode()) == record
    assert [r.memory.allocates for r in records[:2]] == [False, True]
    assert records[0].memory.extra_bytes is None and "library" in (records[0].memory.reason or "")


def test_a_sustained_phase_without_nvml_is_null_with_a_reason(arrays: CudaArrays) -> None:
    (record, _) = run(arrays, ["torch_index_select"], sustain_s=0.05)
    assert record.telemetry["sustained_lookups"]
    for name in ("energy_j", "dram_bytes_per_s", "mean_power_w", "sm_clock_hz_after"):
        assert record.telemetry[name] is None and record.telemetry[f"{name}_missing"]


def test_a_library_with_streams_of_its_own_is_timed_by_the_host(arrays: CudaArrays, tmp_path: Path) -> None:
    body = "import torch\n        return lambda: torch.index_select(table, 0, indices, out=out)"
    (record, _) = run(arrays, [plugin(tmp_path, body, clock='clock = "host"')])
    assert record.status == "ok" and record.clock == "call"
    assert record.samples is not None and record.samples.kernel_s is None


LOST = "CUDA error: an illegal memory access was encountered"
FAULT = f"""import torch
        def fault(*_):
            raise RuntimeError('{LOST}')
        def f():
            if torch.faulty:
                torch.cuda.synchronize = fault
            return torch.index_select(table, 0, indices, out=out)
        return f"""
"""From a moment on all that is asked of the device fails, as after a kernel's illegal access."""


@pytest.mark.parametrize(
    ("step", "said"), [("check", "the lookup"), ("time", "a timed call"), ("sustain", "the sustained phase")]
)
def test_a_lost_device_ends_it_all_in_the_step_of_its_culprit(
    arrays: CudaArrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, said: str
) -> None:
    steps: list[tuple[str | None, str]] = []
    monkeypatch.setattr(torch, "faulty", False, raising=False)

    def notice(*now: str | None) -> None:
        steps.append(now)
        torch.faulty |= now == ("mine", step)

    which = ["torch_index_select", plugin(tmp_path, FAULT), "torch_embedding"]
    with pytest.raises(contender.DeviceLost, match=f"in {said}: RuntimeError: {LOST}"):
        run(arrays, which, notice=notice, sustain_s=0.05)
    assert steps[-1] == ("mine", step), "and no step of another's begins"


WRONG: dict[str, tuple[str, str]] = {
    "nothing": ("return lambda: out", "not table row"),
    "memo": ("kept = table[indices.long()]\n        return lambda: kept", "not table row"),
    "view": ("return lambda: table[: len(indices)]", "view of its operands"),
    "shape": ("return lambda: table[indices.long()][:-1]", "of shape"),
    "ids": (
        "def f():\n            indices[0] = 0\n            return table[indices.long()]\n        return f",
        "ids",
    ),
    "beyond": (
        "import torch\n        def f():\n"
        "            torch.as_strided(out, (1,), (1,), out.storage_offset() - 1)[0] = 1\n"
        "            return torch.index_select(table, 0, indices, out=out)\n        return f",
        "writes before",
    ),
}


@pytest.mark.parametrize("slip", WRONG)
def test_slips_are_caught(arrays: CudaArrays, tmp_path: Path, slip: str) -> None:
    body, reason = WRONG[slip]
    (record, _) = run(arrays, [plugin(tmp_path, body)])
    assert record.status == "wrong" and reason in (record.reason or ""), record.reason


def test_ids_are_compared_on_the_device(arrays: CudaArrays) -> None:
    from suite.engine import check

    table = operands.build_table(arrays, *CASE.table)
    field = operands.lay_out(CASE, arrays, table, [ids.draw(CASE, turn, 0) for turn in range(3)])
    assert check.ids_changed(field) is None
    field.slots[1].indices[5] += 1
    assert "1 batches" in (check.ids_changed(field) or "")


def plugin(folder: Path, body: str, clock: str = "") -> str:
    path = folder / "mine.py"
    path.write_text(
        f'"""Mine."""\nfrom backends.base import Backend\n\n\nclass Mine(Backend):\n    devices = ("cuda",)\n'
        f"    {clock}\n    def prepare(self, table, indices, out):\n        {body}\n"
    )
    return str(path)
