"""The report on a terminal of any width."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import suite
from suite.report import terminal
from tests.support import fabricate
from tests.support.reports import printed


def test_too_few_rounds_give_a_median_and_no_interval(tmp_path: Path) -> None:
    table = suite.load(fabricate.run(tmp_path / "r", [fabricate.CASE], shape={"count": 3}).path)
    assert table.median_us.notna().all()
    assert table[["ci_low_us", "ci_high_us", "fraction_of_ceiling_low"]].isna().all().all()
    text = printed(tmp_path / "r")
    assert "±?" in text and text.count("\n* ") == 4  # nothing tells the three apart; and the legend


def test_failures_are_counted_and_how_many_cases_are_decided(tmp_path: Path) -> None:
    bad = [fabricate.failure("broken", case, "m", reason="no odd rows") for case in fabricate.CASES[:2]]
    vague = fabricate.record("vague", fabricate.CASE, 1e-3, random.Random(0), "m0", converged=False)
    text = printed(fabricate.run(tmp_path / "r", extra=[*bad, vague]).path)
    assert "broken: unsupported on 2 cases: no odd rows" in text
    assert "3 of 3 cases decided" in text, "that a result misses its precision leaves nothing open"
    assert "converge" not in text


def test_a_narrow_terminal_has_a_line_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], converged=False)
    run.append(
        [fabricate.failure("broken", fabricate.CASE, "m0", status="crashed", reason="a segfault " * 9)]
    )
    monkeypatch.setenv("COLUMNS", "40")
    text = printed(run.path)
    grid = text.split("\n\n")[0].splitlines()
    legend = next(k for k, line in enumerate(grid) if line.startswith("* fastest, or"))
    title = next(k for k, line in enumerate(grid) if line.startswith(str(fabricate.CASE)[:20]))
    assert legend - title == 1 + len(fabricate.SPEED) + 1
    assert all(len(line) <= 40 for line in grid[legend:]), "sentences are folded"
    assert "broken: crashed on 1 case: a segfault" in text


@pytest.mark.parametrize("columns", ["40", "60", "100", "300"])
def test_any_width_shows_every_backend(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: Any) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = printed(folder)
    for backend in fabricate.SPEED:
        assert text.count(f" {backend}") >= len(fabricate.CASES)


def test_a_long_report_points_to_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "MAX_TERMINAL_ROWS", 5)
    text = printed(folder)
    assert "9 rows are too many to print" in text and "takes 2.00x as long as numba_cpu" in text
