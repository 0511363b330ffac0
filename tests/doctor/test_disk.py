"""How many threads of reads saturate a disk: what is said of rates, and one whole measurement."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from suite.doctor import disk
from suite.doctor.__main__ import main
from suite.machine import filesystem
from suite.machine.filesystem import FileSystem
from tests.support.commands import complaint

FULL = {2: 20e3, 4: 40e3, 8: 80e3, 16: 92e3, 32: 100e3, 64: 99e3}
DRIFT = (1.0, 0.9, 1.1, 0.8, 1.2, 1.0)


def test_a_disk_is_saturated_by_the_fewest_threads_that_are_nearly_as_fast_as_any() -> None:
    """The whole disk drifts: what is compared is of one round."""
    said = disk._said({n: [rate * drift for drift in DRIFT] for n, rate in FULL.items()})
    assert said.startswith("saturated by 16 threads, 92,000 rows of 4.1 kB a second (73,600 to 110,400; 2: ")
    assert said.endswith("32: 100,000, 64: 99,000)")
    assert "by 2 threads" in disk._said({n: [5e3] for n in FULL}), "as of a disk with one head"
    assert "(no interval; 2: " in disk._said({n: [5e3] for n in FULL}), "it took all the time there was"


def test_a_folder_is_measured_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if filesystem.filesystem(tmp_path).why_not_cold():
        pytest.skip("temporary files lie in memory here")
    monkeypatch.setattr(disk, "ROWS", replace(disk.ROWS, vocab=4096))
    monkeypatch.setattr(disk, "READ_S", 1e-4)
    monkeypatch.setattr(disk, "THREADS", (2, 4))
    said = disk.in_words(str(tmp_path / "tables"))
    assert said.startswith("reads: ") and ": saturated by " in said, said
    assert not list(tmp_path.iterdir())


def test_time_that_is_spent_begins_no_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a disk of a hundred reads a second: one round, so that there is a figure."""
    monkeypatch.setattr(disk, "ROWS", replace(disk.ROWS, vocab=4096))
    monkeypatch.setattr(disk, "THREADS", (2, 4))
    with disk._table(tmp_path) as table:
        rates = disk.measured(table, itertools.count(0.0, 5.0).__next__)
    assert {n: len(of) for n, of in rates.items()} == {2: 1, 4: 1}


def test_where_it_can_not_be_told_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("suite.doctor.__main__.diagnose", lambda *_: ())
    assert main(["--no-noise", "--tables", str(tmp_path / "file/below")]) == 2
    assert "give another folder with 1.1 GB free to --tables" in complaint(capsys.readouterr().err)
    monkeypatch.setattr(filesystem, "filesystem", lambda _: FileSystem("tmpfs", None, 10**12))
    assert main(["--no-noise", "--tables", str(tmp_path / "tables")]) == 0
    assert "reads: not measured, as tmpfs keeps its files in memory" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
