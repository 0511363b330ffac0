"""How a measuring process starts: its variables, its options, its place for modules, no tracers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backends import choose
from suite.cases.case import Case
from suite.engine.measure import Settings
from suite.records.device import CPU
from suite.worker.messages import Job
from suite.worker.supervisor import Supervisor
from tests.support import ROOT
from tests.support.commands import NUMPY_ALONE, SMALL, command, complaint, records_of

pytestmark = pytest.mark.slow

SEEN = '''"""Refuses, and says what it sees."""
import json, os, sys, threading, tracemalloc
from backends.base import Backend, Unsupported
class Seen(Backend):
    devices = ("cpu",)
    def prepare(self, table, indices, out):
        traced = [sys.gettrace(), sys.getprofile(), tracemalloc.is_tracing(), sys.flags.dev_mode]
        names = ("OMP_NUM_THREADS", "NUMBA_OPT", "PYTHONTRACEMALLOC", "COV_CORE_SOURCE", "SOME_HOOK")
        raise Unsupported(json.dumps({
            "traced": any(traced), "optimize": sys.flags.optimize, "first": sys.path[0],
            **{name: os.environ.get(name) for name in names},
        }))
'''
BRIEF = ("--time-budget", "1s", "--sustain", "0", "--passes", "1", "--out", "a")
ONE = (*SMALL[:-1], "seen.py", *BRIEF)


def ran(folder: Path, options: tuple[str, ...] = (), argv: tuple[str, ...] = (), **variables: str) -> Any:
    """What a backend sees in a run with these options of Python, words and variables; and the process."""
    (folder / "seen.py").write_text(SEEN)
    line = [sys.executable, *options, "-m", "suite.run", *ONE, *argv]
    environment = {**os.environ, **NUMPY_ALONE, **variables}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "no case completed" in done.stderr, done.stderr
    reason = next(r["reason"] for r in records_of(folder / "a") if r["backend"] == "seen")
    return json.loads(reason), done


def settings_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    tree = json.loads((folder / "a" / "environment.json").read_text())
    return tree["settings"], tree["system"]


def test_hooks_are_taken_away_and_said_and_settings_passed_and_recorded(tmp_path: Path) -> None:
    given = {"PYTHONTRACEMALLOC": "1", "COV_CORE_SOURCE": "x", "NUMBA_OPT": "0", "SOME_HOOK": "1"}
    seen, done = ran(tmp_path, **given)
    assert not seen["traced"]
    assert (seen["NUMBA_OPT"], seen["PYTHONTRACEMALLOC"], seen["COV_CORE_SOURCE"]) == ("0", None, None)
    assert seen["SOME_HOOK"] is None
    assert "run: measured without COV_CORE_SOURCE, PYTHONTRACEMALLOC;" in done.stderr
    assert "measured with NUMBA_OPT=0" in done.stdout
    assert settings_of(tmp_path)[1]["NUMBA_OPT"] == "0"


@pytest.mark.parametrize("hook", ["settrace", pytest.param("setprofile", marks=pytest.mark.long)])
def test_a_trace_that_the_start_of_python_sets_is_off(tmp_path: Path, hook: str) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(f"import sys; sys.{hook}(lambda *_: None)")
    seen, _ = ran(tmp_path, PYTHONPATH=f"{tmp_path / 'hook'}:{ROOT}")
    assert not seen["traced"]


def test_options_of_python_reach_it_but_those_that_trace(tmp_path: Path) -> None:
    seen, _ = ran(tmp_path, ("-O", "-X", "dev", "-X", "tracemalloc"))
    assert seen["optimize"] == 1 and not seen["traced"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("queue.py", ()),
        ("token.py", ("-P",)),
        pytest.param("queue.py", ("-P",), marks=pytest.mark.long),
        pytest.param("token.py", (), marks=pytest.mark.long),
    ],
    ids=["queue", "token-P", "queue-P", "token"],
)
def test_a_module_in_the_current_folder_takes_no_other_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], name: str
) -> None:
    (tmp_path / name).write_text('raise ImportError("a file of the user")')
    monkeypatch.chdir(tmp_path)
    supervisor = Supervisor(30.0, 2**32, 1)
    try:
        settings = Settings(limit_s=0.1, cache_bytes=2**20)
        job = Job(Case(100, 8), CPU, (choose("numpy_take"),), "m", settings)
        assert {record.status for record in supervisor.measure(job)} == {"ok"}
    finally:
        supervisor.close()
    if options:
        assert ran(tmp_path, options)[0]["first"] != str(tmp_path)


def test_a_backend_imports_what_lies_beside_it_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "be").mkdir()
    body = SEEN.replace("import json, os", "import beside_it\nimport json, os")
    (tmp_path / "be/sibling.py").write_text(body)
    (tmp_path / "be/beside_it.py").write_text("")
    done = command(*SMALL[:-1], "be/sibling.py", *BRIEF, cwd=tmp_path, **NUMPY_ALONE)
    assert done.returncode == 1 and "no case completed" in done.stderr, done.stderr
    assert "unsupported" in {record["status"] for record in records_of(tmp_path / "a")}


def test_the_threads_of_the_users_variables_are_those_used_and_recorded(tmp_path: Path) -> None:
    seen, _ = ran(tmp_path, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    settings, system = settings_of(tmp_path)
    assert (seen["OMP_NUM_THREADS"], settings["threads"]) == ("1", 1)
    assert "OMP_NUM_THREADS" not in system


def test_threads_asked_for_are_stronger(tmp_path: Path) -> None:
    seen, _ = ran(tmp_path, argv=("--threads", "2"), OMP_NUM_THREADS="1")
    assert (seen["OMP_NUM_THREADS"], settings_of(tmp_path)[0]["threads"]) == ("2", 2)


@pytest.mark.parametrize("module", ["suite.run", "suite.claims"])
def test_senseless_threads_are_one_line(tmp_path: Path, module: str) -> None:
    environment = {**os.environ, **NUMPY_ALONE, "OMP_NUM_THREADS": "4,2"}
    line = [sys.executable, "-m", module]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint(done.stderr).startswith("OMP_NUM_THREADS: '4,2'")


FEWER = '''"""Takes a thread from all."""
import torch
from backends.numpy_take import NumpyTake
class Fewer(NumpyTake):
    def prepare(self, table, indices, out):
        torch.set_num_threads(1)
        return super().prepare(table, indices, out)
'''


def test_the_threads_that_a_worker_saw_are_recorded_and_a_difference_is_said(tmp_path: Path) -> None:
    (tmp_path / "fewer.py").write_text(FEWER)
    done = command(*SMALL[:-1], "fewer.py", *BRIEF, "--threads", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for record in records_of(tmp_path / "a"):
        assert record["telemetry"]["threads_asked"] == 2 and record["telemetry"]["threads_torch"] == 1
    assert "2 threads were asked for, torch had 1 in 1 of 1 result\n" in done.stdout
