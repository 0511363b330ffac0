"""CSV and Markdown: the same bytes every time, and no text of a record does anything."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import suite
from suite.analysis import outcomes
from suite.report import files, markdown, tables
from tests.support import fabricate
from tests.support.reports import pipes, printed


def test_csv_reads_back_and_is_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv"):
        files.csv(outcomes.read([folder]), tmp_path / name)
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    read, table = pd.read_csv(tmp_path / "1.csv"), suite.load(folder)
    assert list(read.columns) == list(table.columns)
    assert read.median_us.tolist() == pytest.approx(table.median_us.tolist(), rel=1e-6)
    assert read.payload_bytes.tolist() == table.payload_bytes.tolist()


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "＝1",
    '"=1"',
    "a,b\nc",
    "\x1b[31mred\x1b[0m",
    "a|b`c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_reasons_are_harmless_everywhere(tmp_path: Path, text: Any) -> None:
    failed = fabricate.failure(text, fabricate.CASE, "m0", reason=text, status="error")
    run = fabricate.run(tmp_path / "r", [fabricate.CASE], extra=[failed])
    files.csv(outcomes.read([run.path]), tmp_path / "r.csv")
    rows = list(csv.reader((tmp_path / "r.csv").read_text().splitlines()))
    assert len({len(row) for row in rows}) == 1 and len(rows) == 5
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "＝", "\t", "\r"))]
    assert not [cell for cell in cells if cell.startswith("-") and not _is_number(cell)]
    for output in (printed(run.path), markdown.markdown(outcomes.read([run.path]))):
        assert all(c.isprintable() for c in output.replace("\n", ""))
    results = outcomes.read([run.path])
    html, headings = markdown.markdown(results).splitlines(), tables.table(results).headings
    assert {pipes(line) for line in html if line.startswith("|")} == {len(headings) + 1}


def _is_number(cell: Any) -> Any:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
