"""Whole errors of backends, in files of the run's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine.measure import Settings
from suite.machine import privacy
from suite.records.device import CPU
from suite.worker import errors
from suite.worker.messages import Job


def job(folder: Path | None) -> Job:
    where = str(folder) if folder else None
    return Job(Case(10, 4), CPU, (choose("numpy_take"),), "m", Settings(), errors=where)


def test_all_of_it_is_kept_with_its_case_and_without_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "private_names", lambda: frozenset({"ada", "lovelace-pc"}))
    text = 'Traceback:\n  File "/home/ada/mine.py", line 3\n' + "x" * 1000 + " on lovelace-pc\n"
    for _ in range(2):
        errors.keep(job(tmp_path / "errors"), "mine", text)
    kept = errors.file_of(tmp_path / "errors", "mine").read_text()
    assert kept.count("--- cpu 10x4 float32 batch 512 int64 uniform cold\n") == 2
    assert '\n  File "/home/***/mine.py", line 3\n' in kept and "x" * 1000 in kept
    assert "ada" not in kept and "lovelace" not in kept


def test_what_fails_in_every_case_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "MOST_BYTES", 1000)
    for _ in range(100):
        errors.keep(job(tmp_path), "mine", "y" * 5000)
    assert errors.file_of(tmp_path, "mine").stat().st_size < 2200


def test_nothing_is_kept_without_a_folder_or_where_none_can_be(tmp_path: Path) -> None:
    errors.keep(job(None), "mine", "text")
    (tmp_path / "file").write_text("")
    errors.keep(job(tmp_path / "file"), "mine", "text")
    errors.keep(job(tmp_path), "mine", " \n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
