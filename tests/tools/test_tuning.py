"""Tuning: every launch that would be tried covers all rows and runs as planned; what the report keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suite.cases.case import Case
from suite.records.device import Device
from suite.records.record import Samples
from tests.stand_ins import host_cuda
from tests.support import fabricate
from tests.tools import limits, limits_gpu, tune_gpu, tuning

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("row_bytes", "batch"), tune_gpu.SHAPES)
def test_choices_cover_every_element(row_bytes: int, batch: int) -> None:
    for name in tune_gpu.BACKENDS:
        found = tune_gpu.choices(name, row_bytes, batch)
        if name == "cupy_bulk" and row_bytes % 16:
            assert list(found) == [tune_gpu.CHOSEN], "whose reason is told"
            continue
        assert len(found) > 5, "its own and others"
        for label, geometry in found.items():
            if label != tune_gpu.CHOSEN:
                made = geometry(row_bytes, 8, batch, 0, 132)
                rows, bytes_ = bulk_covers(made, row_bytes) if name == "cupy_bulk" else COVERED[name](made)
                assert rows >= min(batch, 65535) and bytes_ >= row_bytes, label


def cupy_covers(made: Any) -> tuple[int, int]:
    """Rows and bytes of a row that one pass of a grid reaches."""
    vector, tokens, columns = re.fullmatch(r"gather_rows<(.*), long long, (\d), (\d)>", made.kernel).groups()
    width = {text: width for width, text in tune_gpu.cupy_rawkernel.VECTORS.items()}[vector]
    assert made.block[0] * made.block[1] <= 256
    reached = made.grid[0] * made.block[0] * int(columns) * width
    return made.grid[1] * made.block[1] * int(tokens), reached


def bulk_covers(made: Any, row_bytes: int) -> tuple[int, int]:
    tokens = int(re.fullmatch(r"gather_bulk<long long, (\d)>", made.kernel)[1])
    piece = -(-row_bytes // 16 // made.grid[0]) * 16  # as the kernel has it
    assert made.shared_bytes == 32 * 8 + made.block[0] * tokens * piece and (tokens == 1 or made.grid[0] == 1)
    assert (made.grid[0] - 1) * piece < row_bytes
    return made.grid[1] * made.block[0] * tokens, made.grid[0] * piece


def numba_covers(made: Any) -> tuple[int, int]:
    along = 1 if made.tall else 4
    reached = made.grid[0] * made.block[0] * along * made.view.itemsize
    return made.grid[1] * made.block[1] * (4 if made.tall else 1), reached


def triton_covers(made: Any) -> tuple[int, int]:
    return made.grid[0] * made.tile[0], made.grid[1] * made.tile[1] * made.width


COVERED = {"cupy_rawkernel": cupy_covers, "numba_cuda": numba_covers, "triton_gather": triton_covers}


def test_a_launch_is_put_in_place_of_the_backends_own() -> None:
    module = tune_gpu.BACKENDS["cupy_rawkernel"][0]
    own = module.geometry
    with tune_gpu.launched(module, max):
        assert module.geometry is max
    assert module.geometry is own


@pytest.mark.usefixtures("hasty_sweep")
def test_a_gpu_would_be_tuned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arrays = host_cuda.arrays(monkeypatch)
    stub = SimpleNamespace(geometry=min)
    others = {"fine": max, "broken": None}

    def load(_: str) -> type:
        return type("Stub", (), {"view": "bits", "clock": "device", "prepare": prepare})

    def prepare(_self: Any, table: Any, ids: Any, out: Any) -> Any:
        if stub.geometry is None:
            raise ValueError("too many threads\nand more")
        return lambda: out.copy_(table[ids.long()])

    monkeypatch.setattr("suite.engine.arrays.arrays_on", lambda _: arrays)
    monkeypatch.setattr(tune_gpu, "load", load)
    monkeypatch.setattr(tune_gpu, "BACKENDS", {"stub": (stub, lambda *_: others)})
    monkeypatch.setattr(tune_gpu, "SHAPES", ((64, 17), (516, 3)))
    monkeypatch.setattr(tune_gpu, "TABLE_BYTES", 2**20)
    section = tune_gpu.tune("stub", (Device("cuda", 0), 2**16), 0.01, tmp_path / "gpu.md")
    assert len([line for line in section.lines if re.match(r"\| (64|516) \|", line)]) == 2
    lines = (tmp_path / "gpu-stub.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 3
    assert [line.partition("chosen,")[2] for line in lines if "broken" in line] == ["", ""]
    assert sum("ValueError: too many threads" in line and "more" not in line for line in lines) == 2


@pytest.fixture
def hasty_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    from suite.engine import check

    monkeypatch.setattr(check, "_LATE_S", 1e-4)


def test_without_a_gpu_there_is_a_plan_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert tune_gpu.main(["--dry-run", "--backend", "triton_gather"]) == 0
    assert f"{len(tune_gpu.SHAPES)} shapes" in capsys.readouterr().out.splitlines()[-1]
    assert tune_gpu.main(["--gpu", "1000"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gpu 1000: not there") and said.count("\n") == 1


def test_a_report_keeps_what_is_not_measured_anew(tmp_path: Path) -> None:
    path, order = tmp_path / "deep" / "amd-epyc.md", ["one", "two"]
    for heading, figure in (("two", 1.0), ("one", 2.0), ("two", 12345.6)):
        section = tuning.Section(heading, f"about {heading}", ["row", "GB/s"])
        section.add("64", figure)
        section.say(f"said of {figure}")
        tuning.write(path, "python x.py", section, "facts", order)
    text = path.read_text()
    assert re.findall("^## (.*)$", text, re.MULTILINE) == order
    assert "| 64 | 12346 |" in text and "| 64 | 2 |" in text and "said of 1.0" not in text
    assert text.count("*facts*") == 2


def test_a_device_has_a_file_name() -> None:
    assert tuning.report_of("AMD EPYC Processor").name == "amd-epyc.md"
    assert tuning.report_of("../..").parent == tuning.FOLDER


# --- the targets --------------------------------------------------------------------------------------


def lines_of(folder: Path, case: Case, ours_us: float, other_us: float, sure: bool = True) -> list[str]:
    run = fabricate.run(folder, [])
    records = fabricate.measurement(case, 7, {limits.OURS: ours_us, limits.COMMON: other_us})
    run.append(
        one if sure or one.samples is None else replace(one, samples=_few(one.samples)) for one in records
    )
    return list(limits.read([str(run.path)]))


def _few(samples: Samples) -> Samples:
    """Three rounds, of which nothing is known."""
    return replace(samples, call_s=samples.call_s[:3])


def test_targets_are_met_or_missed(tmp_path: Path) -> None:
    short = Case(16_000_000, 16, batch=1024)
    for factor, met, sign in ((3.0, 1, ""), (1.5, 0, "missed")):
        found = lines_of(tmp_path / sign / "run", short, 10.0, 10.0 * factor)
        (line,) = [line for line in found if line.startswith("2 x")]
        assert (
            f"1 cases, {met} at or above it by value; 1 known to 5%, {met} meet it, {1 - met} miss it" in line
        )
        assert any(sign in line and "16000000x16" in line for line in found) == bool(sign)
    (line,) = [line for line in found if line.startswith("1.5 x")]
    assert "0 cases" in line, "other rows are another target"


def test_what_is_not_known_well_is_counted_apart(tmp_path: Path) -> None:
    found = lines_of(tmp_path / "run", Case(16_000_000, 16, batch=1024), 10.0, 30.0, sure=False)
    (line,) = [line for line in found if line.startswith("2 x")]
    assert "0 known to 5%, 0 meet it" in line and "; of 1 others " in line


def test_the_grid_is_cold_and_far_larger_than_a_cache() -> None:
    from suite.run.options import parse

    for command in limits.commands("folder", 850):
        request = parse(command[3:])
        assert len(request.cases) == 20
        assert all(case.cache == "cold" and 2**28 < case.table_bytes < 4e9 for case in request.cases)
        assert request.time_budget_s == 170


def gpu_lines(folder: Path, cases: Sequence[Case], speed: dict[str, float], peak: float | None) -> list[str]:
    """What is said of kernel times, each so many times 2.5 copies long."""
    gpu = {} if peak is None else {limits_gpu.PEAK: peak}
    environment = replace(fabricate.ENVIRONMENT, gpu=gpu)
    options = {"speed": speed, "clock": "kernel", "device": "cuda:0"}
    return list(limits_gpu.read([str(fabricate.run(folder, cases, environment, **options).path)]))


def only(lines: Sequence[str], start: str) -> str:
    (line,) = [line for line in lines if line.startswith(start)]
    return line


def test_gpu_targets_are_judged_by_size_row_and_batch(tmp_path: Path) -> None:
    long, short = Case(128256, 4096, "bfloat16", 8192), Case(4_000_000, 16, "float32", 524288)
    few = Case(128256, 4096, "bfloat16", 16)
    speed = {"cupy_rawkernel": 0.4, "triton_gather": 0.8, "torch_index_select": 0.5}  # 1, 0.5, 0.8 of a copy
    peak = fabricate.COPY_BYTES_PER_S / 0.95
    found = gpu_lines(tmp_path / "run", (long, short, few), speed, peak)
    assert "1 cases, 1 at or above" in only(found, "0.97 x the ceiling, best of ours, long")
    assert "1 cases, 1 at or above" in only(found, "0.9 x the peak")
    assert "1 cases, 1 at or above" in only(found, "0.8 x the ceiling, best of ours, rows of 64")
    assert "2 cases, 2 at or above" in only(found, "0.97 x torch_index_select, best of ours, default grid")
    assert "2 cases, 0 at or above" in only(found, "0.97 x torch_index_select, triton_gather, default grid")
    assert "2 without a figure" in only(found, "0.97 x torch_index_select, numba_cuda, default grid")
    assert "1 cases, 0 at or above" in only(found, "1.5 x torch_index_select, best of ours, batches to 16")
    assert "(0.500), torch_index_select" in only(found, f"  {long}: ")
    assert only(found, f"  {long}: ").endswith("; 20 GB/s")


def test_a_peak_that_nobody_tells_is_no_figure(tmp_path: Path) -> None:
    case = Case(128256, 4096, "bfloat16", 8192)
    found = gpu_lines(tmp_path / "run", [case], {"cupy_rawkernel": 0.4}, None)
    assert "1 cases, 1 without a figure, 0 at or above" in only(found, "0.9 x the peak")


def test_the_gpu_runs_are_as_many_cases_as_their_time_is_shared_by() -> None:
    from suite.run.options import parse
    from suite.run.schedule import tasks_of

    budgets = 0.0
    for command in limits_gpu.commands("folder", 450):
        request = parse(command[3:])
        tasks = tasks_of(request)
        assert {str(task.device) for task in tasks} == {"cuda:0"}
        assert len(tasks) == limits_gpu.CASES[Path(command[-1]).name]
        assert all(case.table_bytes < 5e9 and 4 * case.rows_bytes < 5e9 for case in request.cases)
        budgets += request.time_budget_s or 0
    assert 445 < budgets < 455
