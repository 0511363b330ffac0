"""What a run says while it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from suite.run.progress import Progress, result_of
from tests.support import fabricate


def test_each_finished_case_says_who_was_fastest_and_by_how_much() -> None:
    records = fabricate.measurement(fabricate.CASE, shape={"noise": 1e-4})
    said = result_of(records)
    assert said.startswith("numba_cpu 197 µs, next torch_index_select 2.00x")
    assert result_of(records[:2]).startswith("torch_index_select ") and "next" not in result_of(records[:2])
    assert result_of([fabricate.failure("a", fabricate.CASE, "m")]) == ""


def test_a_line_has_the_result_in_the_first_pass_and_names_the_file_of_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.txt").write_text("all of it")
    records = [*fabricate.measurement(fabricate.CASE)]
    for name in ("broken", "other"):
        records.append(
            fabricate.failure(name, fabricate.CASE, "m0", status="crashed", reason="a stack " * 40)
        )
    with Progress(4) as progress:
        for number in (1, 2):
            progress.begin(number, 2, 0)
            progress.start("a case")
            progress.step("numba_cpu", "prepare")
            progress.finish("a case", records, tmp_path)
    first, second = capsys.readouterr().err.splitlines()
    assert "pass 1 of 2  a case  numba_cpu " in first and ", next " in first and ", next " not in second
    assert f"…; all of it: {tmp_path / 'broken.txt'}" in first
    assert f"{tmp_path / 'other.txt'}" not in first
