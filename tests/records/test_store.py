"""A run directory: what was appended is read, and a folder that is no run is refused."""

from __future__ import annotations

import errno
import gzip
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.cases.case import Case
from suite.records import store
from suite.records.record import Environment, Memory, Record, Samples, Traffic, to_json
from suite.records.store import Run, StoreError
from tests.support import ROOT, fabricate
from tests.support.stored import QUICK, block, one_line

CASE = fabricate.CASES[0]


def test_records_come_back_equal_and_in_order(run: Run) -> None:
    run.append(block(0))
    run.append(block(1))
    assert Run.open(run.path).records() == ([*block(0), *block(1)], [])


def test_the_environment_comes_back_equal_and_is_readable_by_people(run: Run) -> None:
    assert Run.open(run.path).environment == fabricate.ENVIRONMENT
    assert len((run.path / "environment.json").read_text().splitlines()) > 10


@QUICK
@given(reason=st.text(st.characters(), min_size=1), backend=st.text(st.characters(), min_size=1))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, reason: Any, backend: Any) -> None:
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    written = fabricate.failure(backend, CASE, "m0", status="error", reason=reason)
    run.append([written])
    assert run.records() == ([written], [])


@QUICK
@given(st.lists(st.lists(st.floats(1e-9, 1e3), max_size=4).map(tuple), min_size=1, max_size=4).map(tuple))
def test_any_samples_come_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, taken: Any) -> None:
    run = Run.create(tmp_path_factory.mktemp("t") / "r", fabricate.ENVIRONMENT)
    base = block()[1]
    written = replace(base, samples=replace(base.samples, call_s=taken))
    run.append([written])
    assert run.records() == ([written], [])


def test_no_record_is_ever_written_with_nan(run: Run) -> None:
    base = block()[1]
    with pytest.raises(ValueError):
        run.append([base, replace(base, samples=replace(base.samples, call_s=((float("nan"),),)))])
    assert run.records() == ([], [])


def test_paths_with_spaces_and_any_letters_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "läuft bei 東京" / "a b\tc"
    Run.create(path, fabricate.ENVIRONMENT).append(block())
    assert len(Run.open(path).records()[0]) == len(block())


def test_a_run_is_not_made_where_something_is(run: Run, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as error:
        Run.create(run.path, fabricate.ENVIRONMENT)
    one_line(error, "holds a run already", "--resume")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full", fabricate.ENVIRONMENT)
    one_line(error, "not empty")
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full" / "file", fabricate.ENVIRONMENT)
    one_line(error, "--out")
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "full" / "file" / "below", fabricate.ENVIRONMENT)
    one_line(error, "can't be written")


def test_a_run_is_made_in_an_empty_folder(tmp_path: Path) -> None:
    assert Run.create(tmp_path, fabricate.ENVIRONMENT).records() == ([], [])


def test_where_nothing_may_be_written_no_run_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(StoreError) as error:
        Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    one_line(error, "permission denied", "--out")


def test_an_environment_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Path, target: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(StoreError):
            Run.create(tmp_path / "r", fabricate.ENVIRONMENT)
    assert not list((tmp_path / "r").iterdir())
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT)


def test_a_noise_floor_written_later_changes_nothing_else(run: Run) -> None:
    run.append(block())
    amended = run.amended(noise_floor=0.015)
    assert amended.environment == Run.open(run.path).environment
    assert amended.environment == replace(fabricate.ENVIRONMENT, noise_floor=0.015)
    assert amended.records() == (block(), [])


@pytest.mark.parametrize("step", ["rename", "open"])
def test_a_noise_floor_that_can_not_be_written_costs_no_record(
    run: Run, monkeypatch: pytest.MonkeyPatch, step: Any
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.append(block())
    with monkeypatch.context() as patch:
        patch.setattr(Path, step, failing)
        with pytest.raises(StoreError) as error:
            run.amended(noise_floor=0.5)
    one_line(error, "disk full")
    assert Run.open(run.path).records() == (block(), [])
    assert Run.open(run.path).environment == fabricate.ENVIRONMENT
    assert sorted(p.name for p in run.path.iterdir()) == ["environment.json", "records.jsonl"]


def open_fails(path: Path, *words: Any) -> Any:
    with pytest.raises(StoreError) as error:
        Run.open(path)
    return one_line(error, str(path), *words)


def test_what_is_no_run_is_not_opened(run: Run, tmp_path: Path) -> None:
    open_fails(tmp_path / "missing", "no such folder")
    open_fails(run.path / "environment.json", "no folder")
    open_fails(tmp_path, "environment.json is missing")
    (run.path / "records.jsonl").unlink()
    open_fails(run.path, "records.jsonl is missing")
    os.mkfifo(run.path / "records.jsonl")
    open_fails(run.path, "records.jsonl is missing")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "Expecting value"),
        ("{}", "schema None"),
        (json.dumps({**json.loads(to_json(fabricate.ENVIRONMENT)), "schema": 0}), "schema 0"),
        (to_json(fabricate.ENVIRONMENT).replace('"seed":0', '"seed":"0"'), "seed"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_an_environment_of_another_version_or_none_is_refused(run: Run, text: Any, word: Any) -> None:
    (run.path / "environment.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    open_fails(run.path, word, "version of the suite")


def test_an_unreadable_environment_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refusing)
    open_fails(run.path, "permission denied")


@pytest.mark.parametrize(
    "module",
    ["suite.records.store", "suite.analysis.outcomes", "suite.compare.__main__", "suite.report.__main__"],
)
def test_reading_needs_no_heavy_library(module: Any) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'pandas', 'rich', 'numba') if m in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert child.stdout.strip() == "[]", child.stderr


def test_fabricated_runs_depend_on_nothing_but_their_seed() -> None:
    assert block() == block()
    random.seed(7)
    assert (
        fabricate.measurement(CASE, seed=1)
        == fabricate.measurement(CASE, seed=1)
        != fabricate.measurement(CASE)
    )


@pytest.mark.parametrize("kind", [Case, Samples, Memory, Traffic, Record, Environment])
def test_what_is_written_down_is_not_changed(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def compressed(run: Run, data: bytes | None = None) -> Path:
    """The records as ``gzip`` leaves them, or with these bytes in their place."""
    plain = run.path / "records.jsonl"
    file = plain.with_name("records.jsonl.gz")
    file.write_bytes(gzip.compress(plain.read_bytes()) if data is None else data)
    plain.unlink()
    return file


def test_compressed_records_are_read_and_not_added_to(run: Run) -> None:
    run.append(block(0))
    compressed(run)
    assert Run.open(run.path).records() == (block(0), [])
    with pytest.raises(StoreError, match="compressed records can't be added to; uncompress them with gunzip"):
        run.append(block(1))
    assert not (run.path / "records.jsonl").exists()


@pytest.mark.parametrize("cut", [5, -9, -1])
def test_a_compressed_file_that_is_not_whole_is_refused_in_a_line(run: Run, cut: int) -> None:
    run.append(block(0))
    file = compressed(run)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(StoreError, match="is no whole compressed file; get it anew"):
        Run.open(run.path).records()


def test_a_compressed_file_made_to_fill_the_memory_is_not_read_to_its_end(run: Run) -> None:
    file = compressed(run, gzip.compress(b"\n" * 2**22))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "MAX_LINE_BYTES", 2**12)
        _, refused = Run.open(run.path).records()
    assert len(refused) <= store.MOST_TIMES * file.stat().st_size + 2**12 < 2**20
