"""The engine's GPU branch, executed without a GPU: its tensors lie on the host, its events are stood in for.

What only a GPU can tell (speed, streams, the driver) is in tests marked ``gpu``; what a slip of the keyboard
would break is here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backends import choose
from suite.analysis import outcomes
from suite.cases import ids
from suite.cases.case import Case
from suite.engine import ceiling, check, contender, measure, operands, rotation
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
    table = operands.build_table(arrays, case)
    observer = nvidia.GpuObserver(Gpu.open("0"))
    settings = measure.Settings(limit_s=0.3, cache_bytes=2**16, **more)
    setup = measure.Setup(case, arrays, table, Reading(None, "not asked"), observer, settings)
    return measure.measure(setup, [choose(name) for name in which], "m", notice)


def test_tables_are_the_same_on_both_sides(arrays: CudaArrays) -> None:
    host = operands.build_table(HostArrays(), Case(300, 129, "float16"))
    assert np.array_equal(operands.build_table(arrays, Case(300, 129, "float16")).numpy(), host)
    off = operands.build_table(arrays, Case(300, 129, "float16", offset=6))
    assert off.data_ptr() % 64 == 6
    assert np.array_equal(off.numpy(), host)


@pytest.mark.parametrize("cache", ["cold", "hot"])
def test_records_hold_three_times_and_reasons(arrays: CudaArrays, cache: str) -> None:
    case = Case(5000, 33, "bfloat16", 40, "int32", cache=cache)
    records = run(arrays, ["torch_index_select", "torch_embedding"], case)
    assert [r.backend for r in records[:2]] == ["torch_index_select", "torch_embedding"]
    assert records[2].role == "ceiling"
    for record in records:
        assert record.status == "ok", record.reason
        assert record.clock == "kernel" and record.device == "cuda:0"
        assert record.samples is not None and record.samples.kernel_s and record.samples.enqueue_s
        assert record.samples.call_s and record.samples.held
        assert record.samples.graph_s is None and "CUDA" in (record.samples.graph_missing or "")
        assert from_json(Record, to_json(record).encode()) == record
    assert [r.memory.allocates for r in records[:2]] == [False, True]
    assert records[0].memory.extra_bytes is None and "library" in (records[0].memory.reason or "")


@pytest.mark.parametrize("cache", ["cold", "hot"])
def test_a_graph_of_the_lookups_is_a_fourth_time_and_fills_the_phase(
    arrays: CudaArrays, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    host_cuda.graphs(monkeypatch)
    case = replace(CASE, cache=cache)
    records = run(arrays, ["torch_index_select", "torch_embedding", "jax_take"], case, sustain_s=0.05)
    for record in (one for one in records if one.status == "ok" and one.clock == "kernel"):
        samples = record.samples
        assert samples is not None and samples.graph_s and samples.graph_missing is None
        assert len(samples.graph_s) == len(samples.kernel_s or ()) and all(samples.graph_s)
        assert from_json(Record, to_json(record).encode()) == record
        replays = record.telemetry["sustained_lookups"]
        busy = record.telemetry["sustained_busy_fraction"]
        assert isinstance(replays, int) and isinstance(busy, float) and 0 < busy <= 1
        outcome = outcomes.outcomes_of([record])
        assert all(one.times("graph") and one.times("graph") != one.rounds for one in outcome.values())


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
    assert record.samples.graph_missing == contender.OWN_STREAMS
    (record, _) = run(arrays, [plugin(tmp_path, body)])
    assert record.samples is not None and record.samples.graph_missing == contender.DEFAULT_STREAM


def test_a_spot_check_of_such_a_library_begins_once_its_change_is_made(arrays: CudaArrays) -> None:
    table = operands.build_table(arrays, CASE)
    laid_out = operands.lay_out(CASE, arrays, table, [ids.draw(CASE, 0, 0)])
    (slot,), steps = laid_out.slots, list[str]()
    arrays.synchronize = lambda: steps.append("synchronize")  # type: ignore[method-assign]
    for clock in ("host", "device"):
        changed, _ = check.spot_check(
            laid_out, slot, lambda: steps.append("lookup"), clock, np.random.default_rng(0)
        )
        changed()
    assert steps == ["synchronize", "lookup", "lookup"]


def test_a_flush_reads_and_leaves_nothing_to_be_written_back(
    arrays: CudaArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.Tensor] = []
    monkeypatch.setattr(arrays, "bytes", lambda size: made.append(CudaArrays.bytes(arrays, size)) or made[0])
    rotation.flush_of(arrays, 1001)()
    assert len(made[0]) >= 2 * 1001 and not made[0].any()


@pytest.mark.parametrize("fast", ["copy_torch", "copy_kernel"])
def test_the_ceiling_is_the_fastest_of_several_copies(
    arrays: CudaArrays, monkeypatch: pytest.MonkeyPatch, fast: str
) -> None:
    def delayed(name: str, copy: ceiling.Copy) -> ceiling.Copy:
        def slower(source: torch.Tensor, target: torch.Tensor) -> ceiling.Lookup:
            lookup = copy(source, target)
            return lambda: [time.sleep(0.0 if name == fast else 2e-3), lookup()]

        return slower

    known = ceiling._plain_copies(arrays.device)
    assert set(known) == {"copy_torch", "copy_kernel"}
    monkeypatch.setattr(ceiling, "_plain_copies", lambda _: {k: delayed(k, v) for k, v in known.items()})
    assert run(arrays, ["torch_index_select"])[-1].backend == fast


def test_a_replay_is_held_against_ids_that_changed_since_its_capture(arrays: CudaArrays) -> None:
    table = operands.build_table(arrays, CASE)
    laid_out = operands.lay_out(CASE, arrays, table, [ids.draw(CASE, 0, 0)])
    (slot,), remembered = laid_out.slots, laid_out.slots[0].indices.clone()
    for ids_of_replay, right in ((slot.indices, True), (remembered, False), (None, False)):

        def replay(which: torch.Tensor | None = ids_of_replay) -> None:
            if which is not None:
                slot.out[...] = table[which.long()]

        slot.out[...] = table[slot.indices.long()]
        wrong = check.replayed(laid_out, slot, replay, slot.out)
        assert (wrong is None) is right and (right or "does not look up" in str(wrong))
        assert slot.indices.equal(remembered)


@pytest.mark.parametrize("size", [8, 12, 33])
def test_a_copy_by_a_kernel_copies_every_byte(size: int) -> None:
    source, target = torch.arange(size, dtype=torch.uint8), torch.zeros(size, dtype=torch.uint8)
    ceiling._by_kernel(source, target)()
    assert target.equal(source)


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
    table = operands.build_table(arrays, CASE)
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
