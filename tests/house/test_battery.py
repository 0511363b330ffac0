""".ci/gpu from a bare checkout, without pytest's plugins: every step of it, on tensors of the host."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ONE_CASE = ("--vocab", "1000", "--dim", "7", "--batch", "17", "--backend", "numpy_take", "torch_index_select")
MOST_FILES, MOST_FOLDERS = 8, 2
"""What is easily sent from a machine that is given back."""


@pytest.mark.slow
def test_the_battery_ends_with_a_table_and_few_files(nvml_library: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "settings").write_text("used_step=2097152\nenergy_step_mj=5000\n")
    variables = {
        **os.environ,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "tests/stand_ins/host_gpu"),
        "LD_LIBRARY_PATH": str(nvml_library),
        "NVML_STUB": str(tmp_path / "settings"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "GPU_TESTS_S": "1",
        "OMP_NUM_THREADS": "1",
    }
    folder = tmp_path / "found"
    command = [str(ROOT / ".ci" / "gpu"), str(folder), "1", *ONE_CASE]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    tests = (folder / "tests.txt").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + tests
    assert tests.count("exit code 0") == 5 and "time is up" in tests
    assert "torch_index_select" in done.stdout, "the table is what is left of a lost folder"
    with (folder / "run" / "records.csv").open(newline="") as file:
        rows = {(row["device"], row["status"], row["clock"]) for row in csv.DictReader(file)}
    assert rows == {("cuda:0", "ok", "kernel"), ("cpu", "ok", "call")}
    assert "NVIDIA H100" in (folder / "doctor.txt").read_text()
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(files) <= MOST_FILES and all(len(path.parts) <= MOST_FOLDERS + 1 for path in files)
