"""suite.report as a command: what it prints and writes, its one-line errors and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import suite
from suite.cases.case import AXES
from suite.records.store import Run
from suite.report.__main__ import main
from tests.support import ROOT, fabricate


def said(tmp_path: Path, *arguments: Any) -> Any:
    """Exit code, standard output and error of the command line."""
    command = [sys.executable, "-m", "suite.report", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("COLUMNS", None)
    child = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
    return child.returncode, child.stdout, child.stderr


def test_the_command_writes_what_is_asked_and_prints_plainly(folder: Path, tmp_path: Path) -> None:
    code, out, err = said(tmp_path, folder, "--csv", "o.csv", "--markdown", "o.md")
    assert (code, err) == (0, "")
    assert "torch_index_select takes 2.00x as long as numba_cpu" in out and "\x1b" not in out
    assert (tmp_path / "o.csv").read_text().startswith("run,backend,status")
    assert (
        "| numba\\_cpu" in (tmp_path / "o.md").read_text() or "| numba_cpu" in (tmp_path / "o.md").read_text()
    )
    assert said(tmp_path, folder, "--csv", "o2.csv")[1] == out
    assert (tmp_path / "o.csv").read_bytes() == (tmp_path / "o2.csv").read_bytes()


def test_what_can_not_be_shown_is_one_line_and_exit_code_2(folder: Path, tmp_path: Path) -> None:
    Run.create(tmp_path / "empty", fabricate.ENVIRONMENT)
    old = fabricate.run(tmp_path / "old").path / "environment.json"
    old.write_text(old.read_text().replace('"schema": 1', '"schema": 0'))
    for arguments, word in (
        (["missing"], "no such folder"),
        (["empty"], "holds no records"),
        (["old"], "schema 0"),
        (["*.nothing"], "no such folder"),
        ([folder, "--csv", "no/such/folder.csv"], "can't be written"),
        ([], "required: run"),
        ([folder, "--loud"], "unrecognized"),
    ):
        code, out, err = said(tmp_path, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert word in err


def test_what_is_amiss_is_named_in_a_report_of_the_rest(folder: Path, tmp_path: Path) -> None:
    with (folder / "records.jsonl").open("a") as file:
        file.write("hello\n" * 5)
    code, out, _ = said(tmp_path, folder, "missing")
    assert code == 0 and "takes 2.00x as long" in out
    assert "missing: no such folder" in out and "records.jsonl:13:" in out and ": 2 more lines" in out


def test_devices_and_machines_stand_side_by_side_in_every_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run with a GPU and the host, and one of another machine: no row and no sentence holds two of them."""
    other = replace(fabricate.ENVIRONMENT, machine="b" * 16, devices=("cuda:0", "cpu"))
    mixed = fabricate.run(tmp_path / "mixed", environment=other, device="cuda:0", clock="kernel")
    mixed.append(fabricate.measurement(fabricate.CASE, 7, {"numpy_take": 9.0}))
    assert main([str(folder), str(mixed.path), f"--csv={tmp_path / 'r.csv'}"]) == 0
    out = capsys.readouterr().out
    for title in ("run one on cpu:", "mixed on cuda:0:", "mixed on cpu:"):
        assert out.splitlines().count(title) == 1
    table = pd.read_csv(tmp_path / "r.csv")
    keys = ["run", "device", "backend", *AXES]
    assert len(table) == len(table.drop_duplicates(keys)) == 9 + 9 + 1


def test_a_page_of_kernel_times_has_both_clocks_unless_one_is_asked_for(tmp_path: Path) -> None:
    run = fabricate.of_two_clocks(tmp_path / "r").path
    pages = []
    for more in ([], ["--clock", "call"]):
        assert main([str(run), "--html", str(tmp_path / "page.html"), *more]) == 0
        pages.append((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert ["data-clock=" in page for page in pages] == ['"call":{"rows"' in page for page in pages]
    assert ["data-clock=" in page for page in pages] == [True, False]


def test_a_missing_baseline_is_said_once_and_the_report_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--baseline", "nope"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.count("baseline nope: no such backend here; give one of numba_cpu, ") == 1
    assert "torch_index_select takes 2.00x as long as numba_cpu" in out


def test_a_run_of_failures_only_is_a_report(tmp_path: Path) -> None:
    Run.create(tmp_path / "r", fabricate.ENVIRONMENT).append([fabricate.failure("b", fabricate.CASE, "m0")])
    code, out, _ = said(tmp_path, "r")
    assert code == 0 and "no backend completed a case" in out and "rows are odd" in out


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "suite.report", str(folder)]
    child = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    os.close(writing)
    assert (child.returncode, child.stderr) == (141, b"")


def test_an_output_that_takes_nothing_is_one_line_and_one_that_is_closed_none(
    folder: Path, tmp_path: Path
) -> None:
    def ended(module: Any, *arguments: Any, shell: Any) -> Any:
        words = " ".join([sys.executable, "-m", module, *(f"'{one}'" for one in arguments)])
        child = subprocess.run(
            ["sh", "-c", f"{words} {shell}"], capture_output=True, text=True, cwd=ROOT, timeout=60
        )
        return child.returncode, child.stdout, child.stderr

    for module, arguments in (
        ("suite.report", [folder]),
        ("suite.report", [folder, "--csv", "-"]),
        ("suite.compare", [folder, folder]),
        ("suite.run", ["--list"]),
    ):
        code, _, error = ended(module, *arguments, shell="> /dev/full")
        assert (code, error) == (2, "standard output: can't be written (no space left on device)\n"), module
    for module, arguments in (("suite.report", [folder, "--csv", tmp_path / "c"]), ("suite.run", ["--list"])):
        assert ended(module, *arguments, shell=">&-") == (0, "", ""), module
    assert (tmp_path / "c").read_text().startswith("run,backend,")
    assert ended("suite.run", "--list", shell="| head -1")[2] == ""


def test_a_dash_is_standard_output_without_the_tables(folder: Path, tmp_path: Path) -> None:
    for option, written in (("--csv", "csv"), ("--markdown", "md"), ("--export=gha", "gha")):
        sign = "=" if option.startswith("--export") else " "
        asked = [*f"{option}{sign}-".split(" "), *f"{option}{sign}{tmp_path / written}".split(" ")]
        code, out, error = said(tmp_path, folder, *asked[: len(asked) // 2])
        assert (code, error) == (0, "")
        assert said(tmp_path, folder, *asked[len(asked) // 2 :])[0] == 0
        assert out == (tmp_path / written).read_text(), option
    assert not (tmp_path / "-").exists()
    for asked, word in (
        (["--csv", "-", "--markdown", "-"], "more than one file"),
        (["--csv", "x", "--html", "x"], "more than one file"),
        (["--export", "asv=-"], "folder"),
        (["--csv", ""], "a name is needed"),
    ):
        code, out, error = said(tmp_path, folder, *asked)
        assert (code, out, error.count("\n")) == (2, "", 1) and word in error, asked
    assert not (tmp_path / "x").exists()


def test_what_is_read_and_written_may_be_at_home(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    run, writes = f"~/{folder.name}", ("--csv=~/o.csv", "--markdown=~/o.md", "--export", "bmf=~/o.json")
    code, _, err = said(tmp_path, run, *writes)
    assert (code, err) == (0, "")
    assert {"o.csv", "o.md", "o.json"} <= {path.name for path in folder.parent.iterdir()}
    assert len(suite.load(run)) == len(suite.load("~/run*")) == len(suite.load(folder)) > 0
    assert not list(tmp_path.glob("~*"))
