"""Runs in which two Python environments take turns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from suite.run.__main__ import main
from suite.run.environments import missing_packages
from suite.run.options import parse
from suite.run.schedule import digest, tasks_of
from tests.support.commands import NUMPY_ALONE, SMALL, records_of, refused

TWO = ("--environment", f"base={sys.executable}", "--environment", f"head={sys.executable}")


@pytest.fixture
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", NUMPY_ALONE["PYTHONPATH"])


@pytest.mark.usefixtures("numpy_alone")
@pytest.mark.slow
def test_a_run_of_two_is_recorded_by_environment_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = [*SMALL, *TWO, "--passes", "2", "--precision", "50%"]
    assert main([*argv, "--out", str(out)]) == 0
    records = records_of(out)
    found = [(r["pass_number"], r["environment"], r["backend"]) for r in records if r["role"] == "backend"]
    assert found == [(k, name, "numpy_take") for k in (1, 2) for name in ("base", "head")]
    for number in (1, 2):
        own = [r for r in records if r["pass_number"] == number]
        assert len({r["measurement"] for r in own}) == 1
        assert len({len(r["samples"]["call_s"]) for r in own}) == 1, "as many rounds in each"
    known = json.loads((out / "environment.json").read_text())["environments"]
    assert set(known) == {"base", "head"} and known["base"] == known["head"]
    assert known["base"]["numpy"] and known["base"]["version"]

    whole = (out / "records.jsonl").read_bytes().splitlines(keepends=True)
    kept = b"".join(line for line in whole if json.loads(line)["pass_number"] == 1)
    base = [line for line in whole if b'"pass_number":2,"environment":"base"' in line]
    (out / "records.jsonl").write_bytes(kept + b"".join(base) + whole[-1][:80])
    capsys.readouterr()
    assert main([*argv, "--resume", str(out)]) == 0
    after = (out / "records.jsonl").read_bytes()
    assert after.startswith(kept + b"".join(base) + whole[-1][:80] + b"\n")
    new = [json.loads(line) for line in after[len(kept) + len(b"".join(base)) + 81 :].splitlines()]
    assert {(r["pass_number"], r["environment"]) for r in new} == {(2, "head")}, "base was there"
    assert "pass 2 of 2" in capsys.readouterr().err


@pytest.mark.usefixtures("numpy_alone")
@pytest.mark.long
def test_environments_that_changed_are_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    argv = [*SMALL, *TWO, "--passes", "1", "--precision", "50%"]
    assert main([*argv, "--out", str(out)]) == 0
    path = out / "environment.json"
    tree = json.loads(path.read_text())
    tree["environments"]["head"]["numpy"] = "0.1"
    path.write_text(json.dumps(tree))
    capsys.readouterr()
    said = refused(capsys, [*argv, "--resume", str(out)])
    assert "begun with head numpy 0.1, now " in said
    assert "planned otherwise" in refused(capsys, [*SMALL, "--passes", "1", "--resume", str(out)])


def test_environments_are_part_of_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    def planned(*more: str) -> str:
        request = parse([*SMALL, *more])
        return digest(request, tasks_of(request))

    assert planned() != planned(*TWO)
    assert main([*SMALL, *TWO, "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"environment {name}  {sys.executable}" for name in ("base", "head")]
    assert said[-1].startswith("1 case, 2 results a pass, ")


@pytest.mark.parametrize("question", [("--list",), ("--out", "run")])
def test_an_interpreter_without_numpy_is_refused_before_anything_is_measured(
    question: tuple[str, ...], elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    words = ["--environment", f"base={sys.executable}", "--environment", f"head={bare}"]
    said = refused(capsys, [*SMALL, *words, *question])
    assert said.startswith(f"--environment head: {bare} can't measure (ModuleNotFoundError: No module named")
    assert said.endswith("; install there what the suite needs\n")
    assert not list(elsewhere.iterdir())


def test_one_of_several_packages_is_enough() -> None:
    facts = {"fbgemm-gpu": None, "fbgemm-gpu-cpu": "1.4", "jax": None}
    assert missing_packages(["fbgemm_gpu|fbgemm_gpu_cpu", "JAX", "torch"], facts) == ("JAX", "torch")
