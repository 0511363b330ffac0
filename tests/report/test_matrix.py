"""The matrix of the report: cases by backends."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from suite.analysis import outcomes
from suite.cases.case import Case
from suite.report import matrix, terminal
from suite.report.__main__ import main
from tests.support import fabricate

LARGE, SMALL = Case(128256, 4096, "bfloat16", 512), Case(1000, 64, "float32", 16, cache="hot")


def printed(path: Path) -> str:
    file = io.StringIO()
    terminal.show(outcomes.read([path]), file, None, cases_by_backends=True)
    return file.getvalue()


def test_rows_are_in_reading_order_and_say_how_many_times_as_long(tmp_path: Path) -> None:
    run = fabricate.run(tmp_path / "r", [LARGE, SMALL], shape={"noise": 1e-4})
    run.append(
        [
            fabricate.failure("broken", SMALL, "m1"),
            fabricate.failure("gone", SMALL, "m1", status="unavailable"),
        ]
    )
    (found,) = matrix.matrices(outcomes.read([run.path]))
    assert found.names == ("numba_cpu", "torch_index_select", "numpy_take", "broken")
    assert [row.table for row in found.rows] == ["1000x64 float32", "128256x4096 bfloat16 · llama-3-8b"]
    assert (found.common, [row.ids for row in found.rows]) == ("int64 uniform", ["hot", "cold"])
    small = found.rows[0]
    cells = [matrix.cell(ratio, why) for ratio, why in zip(small.ratios, small.missing, strict=True)]
    assert cells == ["1x", "2.00x", "4.00x", "failed"]


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal_and_names_what_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    speed = {f"library_mechanism{k:02d}": 1.0 + k for k in range(8)}
    text = printed(fabricate.run(tmp_path / "r", [LARGE, SMALL], speed=speed).path)
    assert max(map(len, text.splitlines())) <= columns
    assert "too narrow for" in text


def test_the_command_prints_it_in_place_of_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fabricate.run(tmp_path / "r")
    assert main([str(tmp_path / "r"), "--matrix"]) == 0
    out = capsys.readouterr().out
    assert "2.00x" in out and "GB/s" not in out and "fastest of all: numba_cpu" in out


def test_what_only_the_host_timed_has_no_place_in_a_row_of_kernel_times(tmp_path: Path) -> None:
    fabricate.of_two_clocks(tmp_path / "r")
    (found,) = matrix.matrices(outcomes.read([tmp_path / "r"]))
    (row,) = found.rows
    cells = map(matrix.cell, row.ratios, row.missing)
    assert dict(zip(found.names, cells, strict=True)) == {"x": "1x", "y": "3.00x", "z": "host"}


def test_where_a_table_lies_is_said_where_it_is_not_the_usual(tmp_path: Path) -> None:
    cases = [SMALL, replace(SMALL, placement="file")]
    fabricate.run(tmp_path / "r", cases)
    (found,) = matrix.matrices(outcomes.read([tmp_path / "r"]))
    assert [row.ids for row in found.rows] == ["file", "memory"] and "memory" not in found.common
    fabricate.run(tmp_path / "s", cases[:1])
    (found,) = matrix.matrices(outcomes.read([tmp_path / "s"]))
    assert found.common == "int64 uniform hot"
