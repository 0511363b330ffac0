"""What answers at once stays light: no heavy library is loaded to list, plan, or import the packages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends import names

ROOT = Path(__file__).resolve().parents[2]


HEAVY = {"torch", "cupy", "numba", "triton", "jax", "llvmlite", "pynvml", "scipy"}
HEAVY |= {"pandas", "matplotlib", "rich", "jinja2"}
MEASURING = {"numpy", "psutil"}
PLAIN = "import argparse, dataclasses, importlib.metadata, pathlib, statistics"
QUICK = {"--help": 2.5, "--dry-run": 4.0, "--list": 5.0}
TRIES = 8


def python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def loaded_by(code: str) -> set[str]:
    """Every top-level module that the interpreter has at its end."""
    ending = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))"
    done = python("-c", f"{ending}\n{code}")
    last = [line for line in done.stderr.splitlines() if line.startswith("LOADED")][-1]
    return {name.partition(".")[0] for name in last.split()[1:]}


def command(*argv: str) -> str:
    run = "runpy.run_module('suite.run', run_name='__main__', alter_sys=True)"
    return f"import runpy, sys; sys.argv[1:] = {list(argv)}; {run}"


@pytest.mark.parametrize("argv", ["--help", "--list", "--dry-run", "--preset full --dry-run"])
def test_a_command_that_measures_nothing_loads_nothing(argv: str) -> None:
    loaded = loaded_by(command(*argv.split()))
    assert "suite" in loaded
    assert not loaded & (HEAVY | MEASURING)


@pytest.mark.parametrize(
    "module",
    [
        "suite",
        "backends",
        "suite.run.options",
        "suite.run.schedule",
        "suite.records.store",
        "suite.run.listing",
    ],
)
def test_plain_values_are_light(module: str) -> None:
    assert not loaded_by(f"import {module}") & (HEAVY | MEASURING)


@pytest.mark.parametrize(
    "module",
    [
        f"suite.{room}"
        for room in (
            "report.__main__",
            "compare.__main__",
            "doctor.__main__",
            "worker.serve",
            "engine.arrays",
        )
    ],
)
def test_importing_a_room_loads_no_library_that_looks_up_or_draws(module: str) -> None:
    assert not loaded_by(f"import {module}") & HEAVY


def test_loading_every_backend_loads_no_library() -> None:
    code = "import backends\nfor name in backends.names():\n    assert backends.load(name).devices"
    loaded = loaded_by(code)
    assert "backends" in loaded
    assert not loaded & HEAVY, f"of {', '.join(names())}"


def test_describing_every_backend_imports_none() -> None:
    code = (
        "import sys, backends\nfor name in backends.names():\n    backends.describe(name)\n"
        "found = [m for m in sys.modules if m.startswith('backends.')]\n"
        "assert found == ['backends.base'], found"
    )
    assert not loaded_by(code) & (HEAVY | MEASURING)


def test_a_plugin_is_described_and_planned_without_running_it(tmp_path: Path) -> None:
    plugin = tmp_path / "loud.py"
    plugin.write_text('"""Says so."""\nraise SystemExit("was run")\nclass A:\n    devices = ("cpu",)\n')
    for question in ("--list", "--dry-run"):
        done = python("-m", "suite.run", "--backend", str(plugin), question)
        assert "loud" in done.stdout
        assert done.stderr == ""


@pytest.mark.parametrize(("question", "starts"), QUICK.items())
def test_the_answer_comes_at_once(question: str, starts: float, tmp_path: Path) -> None:
    """In starts of a Python that loads what any command needs, taken in turns: machines differ, and sway."""

    def seconds(*words: str) -> float:
        began = time.perf_counter()
        python(*words, PYTHONPYCACHEPREFIX=str(tmp_path), PYTHONDONTWRITEBYTECODE="")
        return time.perf_counter() - began

    start_s = answer_s = float("inf")
    for _ in range(TRIES):
        start_s = min(start_s, seconds("-c", PLAIN))
        answer_s = min(answer_s, seconds("-m", "suite.run", question))
        if answer_s < starts * start_s:
            return
    raise AssertionError(f"{question} took {answer_s:.2f} s at best, a start {start_s:.2f} s")
