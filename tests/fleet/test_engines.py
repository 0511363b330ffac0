"""Sweeps on engines themselves: SLURM's daemons, GNU parallel; what comes out is what one run measures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from suite.machine import lock
from suite.records.record import Record
from suite.records.store import Run
from tests.support import ROOT, commands, slurm

PLAN = ("--preset", "smoke", "--threads", "1", "--backend", "numpy_take", "other=backends/numpy_take.py")
LIMIT_S = 240

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def in_one_piece(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same sweep as one run."""
    folder = tmp_path_factory.mktemp("one") / "run"
    done = commands.command(*PLAN, "--out", str(folder), cwd=ROOT, **commands.NUMPY_ALONE)
    assert done.returncode == 0, done.stderr
    return Run.open(folder)


def statuses(run: Run) -> dict[tuple[str, ...], str]:
    """What became of each backend in each case."""
    records, refused = run.records()
    assert not refused
    return {(r.device, str(r.case), r.backend): r.status for r in records if r.role == "backend"}


def written(folder: Path, *argv: str, more: Sequence[str] = (), **variables: str) -> list[str]:
    """What suite.fleet says; ``more`` are options of the run."""
    words = [sys.executable, "-m", "suite.fleet", argv[0], str(folder), "--shards", "4", *argv[1:]]
    words += ["--", *PLAN, *more]
    environment = {**os.environ, **commands.NUMPY_ALONE, **variables}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def first_attempt(run: Path) -> list[Record]:
    return Run.open(run).records()[0] if (run / "environment.json").exists() else []


@pytest.mark.long
def test_a_sweep_on_slurm_with_a_shard_killed_is_the_sweep_in_one_piece(
    tmp_path: Path, in_one_piece: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    if why := slurm.missing():
        pytest.skip(why)
    own, folder = tmp_path / "slurm", tmp_path / "the sweep"
    own.mkdir()
    with slurm.running(own) as variables:
        jobs = written(folder, "slurm", "--submit", more=("--passes", "2"), **variables)[-2:]
        shards, merge = (re.fullmatch(r"job (\d+): \w+\.sbatch", line)[1] for line in jobs)  # type: ignore[index]
        (begun,) = [folder / f"shards/4-of-4-on-{os.uname().nodename}"]
        slurm.waits_for(lambda: bool(first_attempt(begun)), LIMIT_S, own, 0.02)
        slurm.asked(variables, "scontrol", "requeue", f"{shards}_4")
        killed = {r.measurement for r in first_attempt(begun)}
        slurm.waits_for(lambda: not slurm.asked(variables, "squeue", "-h"), LIMIT_S, own)
        told = [slurm.asked(variables, "scontrol", "show", "job", job) for job in (f"{shards}_4", merge)]
    log = (own / "controller.log").read_text()
    with capsys.disabled():
        print(*re.findall(r".*(?:Requeu|Allocate|Started|WEXITSTATUS).*", log), sep="\n")
    assert "Restarts=1" in told[0] and f"Requeuing JobId={shards}_4" in log
    assert all("JobState=COMPLETED" in one for one in told), (folder / "logs/merge.txt").read_text()
    merged = Run.open(folder / "merged")
    own_shard = {r.measurement for r in first_attempt(begun)}
    assert killed < own_shard <= {r.measurement for r in merged.records()[0]}, "it went on with what it had"
    assert statuses(merged) == statuses(in_one_piece)
    assert merged.environment.plan == in_one_piece.environment.plan
    assert merged.environment.settings["merged_from"] == "1/4, 2/4, 3/4, 4/4"
    assert merged.environment.system[lock.RUNS_AT_ONCE] == 1
    assert (folder / "merged/page.html").stat().st_size > 10_000


@pytest.mark.long
def test_a_sweep_on_gnu_parallel_is_the_sweep_in_one_piece(
    tmp_path: Path, in_one_piece: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts that are this one: their shards wait for each other."""
    if shutil.which("parallel") is None:
        pytest.skip("no GNU parallel; Debian's package parallel has it")
    place = tmp_path / "bin"
    place.mkdir()
    stands_in = {"ssh": 'shift 3; exec bash -c "$*"', "rsync": ":"}
    for name, script in stands_in.items():
        (place / name).write_text(f"#!/bin/bash\n{script}\n")
        (place / name).chmod(0o755)
    folder = tmp_path / "sweep"
    *_, after = written(folder, "ssh", "--host", "one", "--host", "two")
    path = f"{place}:{os.environ['PATH']}"
    variables = {**os.environ, **commands.NUMPY_ALONE, "PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", after.removeprefix("next: ")],
        env=variables,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(Run.open(folder / "merged")) == statuses(in_one_piece)
    assert "run: waits for process " in done.stdout + done.stderr
