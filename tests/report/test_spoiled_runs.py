"""A run with something wrong: a line in the report of the others, and no report alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from suite.report.__main__ import main
from tests.support import fabricate


def _torn(run: Any) -> None:
    data = (run / "records.jsonl").read_bytes()
    (run / "records.jsonl").write_bytes(data[: data.index(b"\n") - 40])


def _foreign(run: Any) -> None:
    (run / "records.jsonl").write_text("backend,median_us\nnumpy_take,1.5\n")


def _edited(run: Any) -> None:
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text(lines[1].replace('"batch":512', '"batch":"512"'))


def _older(run: Any) -> None:
    text = (run / "environment.json").read_text()
    (run / "environment.json").write_text(text.replace('"schema": 1', '"schema": 0'))


def _older_records(run: Any) -> None:
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text(lines[1].replace('"schema":1', '"schema":0'))


def _foreign_environment(run: Any) -> None:
    (run / "environment.json").write_text('{"machine_info": {}, "benchmarks": []}')


def _empty(run: Any) -> None:
    (run / "records.jsonl").write_text("")


def _no_records(run: Any) -> None:
    (run / "records.jsonl").unlink()


AMISS = {
    _torn: "records.jsonl:1: cut short by an interrupted write; the line is left out",
    _foreign: "records.jsonl:1: Expecting value",
    _edited: "records.jsonl:1: Record.case.batch: '512' is not int; the line is left out",
    _older: "environment.json: schema 0, this reader knows 1; read it with the version of the suite",
    _older_records: "records.jsonl:1: schema 0, this reader knows 1; the line is left out",
    _foreign_environment: "environment.json: schema None, this reader knows 1",
    _empty: "holds no records; nothing of it to show",
    _no_records: "is no run, records.jsonl is missing; give a folder that suite.run made",
}


@pytest.mark.parametrize("spoil", AMISS)
def test_a_spoiled_run_is_a_line_of_a_report_and_alone_no_report(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any
) -> None:
    bad = fabricate.run(tmp_path / "bad", [fabricate.CASE]).path
    spoil(bad)
    written = [tmp_path / name for name in ("r.csv", "r.md", "r.html")]
    asked = [f"--{name}={path}" for name, path in zip(("csv", "markdown", "html"), written, strict=True)]
    assert main([str(bad), *asked]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and AMISS[spoil] in lines[0] and all(line.startswith(str(bad)) for line in lines)
    assert not any(path.exists() for path in written)
    assert main([str(bad), str(folder), *asked]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "takes 2.00x as long" in out
    assert len([line for line in out.splitlines() if AMISS[spoil] in line]) == 1
    assert lines[0].partition(": ")[2].partition(" ")[0] in written[1].read_text()
    assert set(pd.read_csv(written[0]).run) == {folder.name}
